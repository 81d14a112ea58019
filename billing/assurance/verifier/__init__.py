"""The verifier of statement bundles: one file for strangers, which imports nothing of ours and is never imported by the portal."""
