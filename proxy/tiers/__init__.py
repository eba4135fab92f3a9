"""The tiers that store variants. No tier knows another one."""
