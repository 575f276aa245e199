"""Language models of other companies, through pydantic-ai's model classes.

hosted       the provider behind every prefix: keys in turn, one pool, one way to fail
openai       what is particular about `openai:*`
anthropic    … about `anthropic:*`
mistral      … about `mistral:*`
forms        … about the form of an answer of Mistral's
compatible   … about servers that speak OpenAI's Chat Completions
chat         what mistral and compatible share of it
keys         which key is used next, and which is left aside
requests     what is asked of a model, in the form that every model class takes
turns        a conversation of ours into what every provider's client takes
contents     … with a user's pictures and documents
kept         what a provider thought before it called tools, for itself alone
stream       what such a client streams, into our events
wishes       what a request wants that a model may have no such thing as
questions    one question to one model with one key
vendors      what differs from vendor to vendor
words        whole characters out of streamed pieces
batches      questions that are answered later, many at a time: by whose key, what errors mean
openai_batches, anthropic_batches, mistral_batches   … and how each of them is told
batch_lines  the files of two of them
vectors      what an embedding class returns, into unit vectors
failures     what all of them raise, into our errors
connections  how many there are, and how long they may take
rehearsal    what a first answer costs, paid before anybody waits
"""
