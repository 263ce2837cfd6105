"""The interface that clients of language models use: completions and chat, as OpenAI's API has them.

https://platform.openai.com/docs/api-reference, by the types of the Python client `openai`.
"""
