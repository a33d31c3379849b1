/**
 * Statements that read secrets. A key `aws/secretsmanager` needs no statement (AWS Secrets Manager User Guide, "Secret
 * encryption and decryption").
 */
export const secretStatements = (arns: readonly string[]) => [
  { sid: "ReadSecrets", actions: ["secretsmanager:GetSecretValue"], resources: [...arns] },
];
