"""Demo data: people, three banks with money, and 200 real payments. Never in production.

`payouts.csv` is an extract of the payments of the Greater London Authority, 2008 to 2013 (public domain, PDDL), with
IBANs made from the payees' names; the full file can be imported on top of it. `purchases.txt` is the beginning of the
CDNOW purchase log of 1997 and 1998.
"""
