"""Language models of other companies, through pydantic-ai's model classes.

openai       the provider behind `openai:*`
turns        a conversation of ours into what every provider's client takes
stream       what such a client streams, into our events
words        whole characters out of streamed pieces
failures     what it raises, into our errors
connections  how many there are, and how long they may take
rehearsal    what a first answer costs, paid before anybody waits
"""
