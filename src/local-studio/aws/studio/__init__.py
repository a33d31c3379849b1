"""SageMaker Studio's control plane: operations that moto does not have, or does not validate as AWS does.

A comment above every error, transition and limit gives its origin:

  Source:  a page of the Amazon SageMaker API Reference or of another document, or a public issue
  Guess:   not documented, for example the wording of a message

`__tests__/python/test_local_aws_sources.py` fails if such a comment is missing.
"""
