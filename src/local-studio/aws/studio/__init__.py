"""SageMaker Studio's control plane: what moto does not answer, or answers without AWS's refusals.

Every refusal, transition and limit says, in a comment above it, from where it is known:

  Source:  a page of the Amazon SageMaker API Reference, of another document, or a public issue that shows it
  Guess:   what no source says, such as the words of a message

`__tests__/python/test_local_aws_sources.py` refuses those that say nothing.
"""
