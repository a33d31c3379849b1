# Every rule of the bundled ruleset, not the recommended ones alone. No other is used: it would be a plugin to download.
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# Logical ids have the zone in them ("network_private_us-east-1a"), and CDKTF makes them of the constructs' own.
rule "terraform_naming_convention" {
  enabled = false
}
