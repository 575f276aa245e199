"""The composition root of the service: these modules alone name concrete classes.

worker.py       answers messages
service.py      answers HTTP, and messages too where it is told to
models.py       who serves which model
accounts.py     with which providers there is an account
connections.py  the way to the database
owner.py        migrate
webhook.py      sets up both sides of the webhook
tools.py        the functions that models may call
tool_list.py    says which they are
doctor.py       what is missing, in the order in which to see to it
"""
