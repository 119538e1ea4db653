# SPDX-License-Identifier: Apache-2.0
# Was man über die Fristen eines Vorfalls liest: was fällig ist und wer es erfahren muss. Englisch, Französisch und Deutsch sind gleichrangig.

incident-duty-first-report = Erster Bericht
incident-duty-update = Zwischenbericht
incident-duty-final-report = Abschlussbericht
incident-duty-keep-until = Unterlagen aufbewahren
incident-authority-eu-55i = Büro für Künstliche Intelligenz der Europäischen Kommission
incident-authority-eu-73 = Marktüberwachungsbehörde des Mitgliedstaats, in dem es geschah
incident-authority-gd-33 = Datenschutz-Aufsichtsbehörde
