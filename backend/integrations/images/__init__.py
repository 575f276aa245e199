"""Hostile bytes of users, taken apart in processes that can do no harm.

jail     one process for each file: little memory, little time, no files, no network, no secrets
inmate   what runs in it: images are made anew, documents are read
"""
