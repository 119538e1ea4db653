# SPDX-License-Identifier: Apache-2.0
# What people read about the clocks of an incident: what is due, and who is to be told. English, French and German are equal in rank.

incident-duty-first-report = First report
incident-duty-update = Update
incident-duty-final-report = Final report
incident-duty-keep-until = Keep the documents
incident-authority-eu-55i = AI Office of the European Commission
incident-authority-eu-73 = market surveillance authority of the Member State where it happened
incident-authority-gd-33 = data protection supervisory authority
