"""Open Delivery (Abrasel), version 1.7: a merchant's own point of sale takes our orders by it.

Largo is the standard's *Ordering Application*; whoever connects is its *Software Service*. Field
names, words and answers are the standard's; each merchant is a store, and its id the store's.
"""
