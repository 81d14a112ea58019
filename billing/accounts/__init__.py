"""Who is billed, by whom, and who may look: sellers, tenants, billing accounts, profiles, users, keys, and the account's lock.

Law kept here: everything of a billing account is written under its head (`heads.lock`).
"""
