"""Write-back: canonical records → intents → approved by people where a rule says so → delivered to the target system,
once.
"""
