"""Recovery (PM5): what nobody told us is asked for, what is here stands beside what the provider holds, and no money stays unseen.

Laws: money is credited only from what the provider says when asked; a payment without our reference is a finding, never a guess;
looking twice changes nothing.
"""
