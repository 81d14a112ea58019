"""Is it true: self-check, chain verification, replay, search. Each says how much it looked at; zero rows looked at is no proof."""
