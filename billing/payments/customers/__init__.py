"""Customers at the provider and their saved methods.

The provider is the truth about both. We keep which customer is whose (`links`, with every act that made or changed it), and a copy
of the saved methods that may be fetched again at any time (`copies`). Nothing here moves money; a card's number never comes near us.
"""
