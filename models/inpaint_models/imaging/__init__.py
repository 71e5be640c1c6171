"""What several engines without a network do with pixels."""
