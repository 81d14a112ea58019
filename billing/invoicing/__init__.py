"""What we say they owe: drafts, issue with gapless numbers, tax on the document, settlement, frozen documents."""
