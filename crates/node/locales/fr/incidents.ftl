# SPDX-License-Identifier: Apache-2.0
# Ce que l’on lit sur les délais d’un incident : ce qui est dû, et qui doit être informé. L’anglais, le français et l’allemand sont de rang égal.

incident-duty-first-report = Premier rapport
incident-duty-update = Mise à jour
incident-duty-final-report = Rapport final
incident-duty-keep-until = Conserver les documents
incident-authority-eu-55i = Bureau de l’IA de la Commission européenne
incident-authority-eu-73 = autorité de surveillance du marché de l’État membre où cela s’est produit
incident-authority-gd-33 = autorité de contrôle de la protection des données
