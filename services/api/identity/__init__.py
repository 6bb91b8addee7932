"""Who asks, where Keystone says so: its tokens, and a policy that turns its roles into ours.

What is here needs libraries of OpenStack's (10 MB of memory), so it is imported only where a Keystone is named.
"""
