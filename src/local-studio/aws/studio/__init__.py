"""SageMaker Studio's control plane: what moto does not answer, or answers without AWS's refusals."""
