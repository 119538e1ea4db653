# SPDX-License-Identifier: Apache-2.0
# Ce que l’on lit quand la réponse est non. Un message par code, dans l’ordre des codes.
#
# La valeur est une phrase qui se passe de faits. `.with-facts` la dit avec les faits : `site.id` s’écrit `$site-id` ; s’il en
# manque un, la valeur est prise. `.advice` dit ce qui changerait la réponse. L’anglais, le français et l’allemand ont le
# même rang : qui change une langue change les trois.

## Règles : souveraineté

sov-001 = Le traité n’est pas en vigueur en ce moment ; aucune tâche ne peut donc s’exécuter sous ce traité.
    .advice = Attendez que le traité prenne effet, ou faites signer par ses membres un traité en vigueur.
sov-002 = Le membre d’origine de la tâche ou le membre dont relève le site n’est pas membre du traité.
    .with-facts = { $treaty-home_is_member ->
        [false] Le membre d’origine de la tâche, { $home-member }, n’est pas membre du traité.
       *[other] Le membre dont relève le site, { $site-member }, n’est pas membre du traité.
    }
    .advice = Soumettez la tâche auprès d’un membre du traité et choisissez le site d’un membre ; un nouveau membre adhère par un traité que tous signent.
sov-003 = Les données protégées ne peuvent être traitées que sur un site de leur propre nation, exploité par le membre de celle-ci.
    .with-facts = Le jeu de données { $data-id } est de classe { $data-class } et relève de { $data-origin } ; il ne peut donc pas être traité sur le site { $site-id } (ressort : { $site-jurisdiction }, membre : { $site-member }).
    .advice = Choisissez un site de la nation dont relèvent les données, exploité par son propre membre. Ni visa ni fondement de transfert n’y change rien.
sov-004 = L’exploitant du site relève aussi du droit d’un autre pays, qui pourrait lui ordonner de livrer les données.
    .with-facts = Le jeu de données { $data-id } (classe { $data-class }) ne peut pas être traité sur le site { $site-id } : son exploitant, { $site-operator }, relève aussi du droit d’un autre pays ({ $site-exposed_to }), qui pourrait lui ordonner de livrer les données.
    .advice = Choisissez un site dont l’exploitant ne relève que du droit du lieu, ou traitez-y des données ouvertes ou internes.
sov-005 = Le site se trouve hors des territoires où la fiche du jeu de données permet de le traiter.
    .with-facts = Le jeu de données { $data-id } ne peut être traité que dans { $data-residency }, et le site { $site-id } se trouve dans { $site-jurisdiction }.
    .advice = Choisissez un site dans un territoire permis, ou demandez au membre dont relève le jeu de données d’élargir celui-ci dans une nouvelle fiche.
sov-006 = Une tâche portant sur des données à caractère personnel, y compris de catégories particulières (art. 9 du RGPD), ou sur des données protégées ne peut pas avoir accès au réseau.
    .with-facts = La tâche demande un accès au réseau ; avec des données de classe { $job-class }, elle ne peut pas en avoir.
    .advice = Ne demandez pas d’accès au réseau et fournissez en entrée ce dont la tâche a besoin ; avec des données ouvertes ou internes, l’accès au réseau est permis.
sov-007 = L’autre membre n’a pas cosigné à temps le journal de ce nœud ; pour l’instant, aucune tâche ne passe donc la frontière.
    .advice = Attendez que l’autre membre ait de nouveau cosigné le journal ; entre-temps, les tâches locales se poursuivent.
sov-008 = Le projet n’est pas actif, ou son allocation ne couvre pas le prix maximal de la tâche.
    .with-facts = { $project-active ->
        [false] Le projet { $project-id } n’est pas actif.
       *[other] L’allocation du projet { $project-id } ne couvre pas le prix maximal de la tâche.
    }
    .advice = Prenez l’un de vos projets dont l’allocation couvre le prix maximal, demandez moins de temps, ou demandez une allocation plus grande.
sov-009 = Le passeport n’est pas valable, ou le membre d’origine n’atteste pas votre affiliation.
    .with-facts = { $visa-valid ->
        [false] Le passeport n’est pas valable : il n’a pas pu être vérifié avec les clés du traité, ou il n’est pas dans sa période de validité.
       *[other] Aucun visa de { $home-member } dans le passeport n’atteste votre affiliation.
    }
    .advice = Obtenez de votre membre d’origine un passeport muni d’un visa d’affiliation en cours de validité.
sov-010 = Le résultat passerait une frontière sans qu’un traité soit en vigueur entre les deux membres.
    .with-facts = Le résultat passerait la frontière de { $site-member } vers { $home-member } sans qu’un traité soit en vigueur entre les deux.
    .advice = Le résultat reste chez l’hôte jusqu’à ce qu’un traité entre les deux membres soit de nouveau en vigueur.

## Règles : transfert de données

dtr-001 = Le jeu de données ne peut pas être utilisé pour la finalité que la tâche indique.
    .with-facts = Le jeu de données { $data-id } ne peut pas être utilisé pour la finalité « { $job-purpose } » que la tâche indique.
    .advice = Indiquez une finalité que la fiche du jeu de données permet, ou demandez au membre dont il relève d’ajouter la vôtre.
dtr-002 = Le passeport ne contient aucun visa qui donne accès à ce jeu de données.
    .with-facts = Le jeu de données { $data-id } est de classe { $data-class }, et le passeport ne contient aucun visa qui y donne accès.
    .advice = Demandez au membre dont relève le jeu de données un visa qui vous y donne accès ; les données ouvertes n’en exigent pas.
dtr-003 = Les données à caractère personnel ne peuvent quitter leur territoire que sur un fondement juridique, comme une décision d’adéquation ou des garanties appropriées (art. 45 et 46 du RGPD), et le traité n’en prévoit aucun pour ce site.
    .with-facts = Le jeu de données { $data-id } (classe { $data-class }) ne peut pas être transféré de { $data-origin } vers le site { $site-id } dans { $site-jurisdiction } : le traité ne prévoit aucun fondement de transfert, comme une décision d’adéquation ou des garanties appropriées (art. 45 et 46 du RGPD), qui couvre un exploitant de forme « { $site-operator_form } ».
    .advice = Choisissez un site dans le territoire des données, ou un site dont la forme d’exploitant est couverte par un fondement du traité ; à défaut, les membres doivent convenir d’un fondement.
dtr-004 = Le résultat a été tiré de données à caractère personnel ou protégées, et la tâche vient d’en dehors des territoires où ces données peuvent se trouver.
    .with-facts = Le résultat { $output-name } (classe { $output-class }) a été tiré de données de { $way_home-origins } qui ne peuvent pas aller vers { $home-jurisdiction }, hors de leurs territoires permis.
    .advice = Demandez à l’intendance des données du membre dont relève le jeu de données de libérer le résultat, une fois que plus personne n’y est reconnaissable.
dtr-005 = Le résultat a été tiré de données protégées, qui ne quittent pas leur propre nation.
    .with-facts = Le résultat { $output-name } (classe { $output-class }) a été tiré de données protégées de { $way_home-origins }, qui ne quittent pas leur propre nation pour { $home-jurisdiction }.
    .advice = Demandez à l’intendance des données de la nation qui protège les données de déclassifier le résultat en ouvert ou interne.
dtr-006 = Le résultat a été tiré de données internes, et la tâche vient d’en dehors des territoires où ces données peuvent se trouver.
    .with-facts = Le résultat { $output-name } (classe { $output-class }) a été tiré de données qui ne peuvent pas se trouver dans { $home-jurisdiction }, et l’intendance des données ne l’a pas libéré.
    .advice = Demandez à l’intendance des données du membre dont relève le jeu de données de libérer le résultat.

## Règles : libération des résultats

rel-001 = Vous ne pouvez pas libérer ce résultat, car les jeux de données de la tâche ne sont pas tous sous votre garde.
    .with-facts = Vous ne pouvez pas libérer le résultat { $output-name } au titre de l’intendance des données de { $steward-member }, car les jeux de données de la tâche ne sont pas tous sous votre garde.
    .advice = Seule l’intendance des données du membre dont relèvent tous les jeux de données de la tâche peut en libérer les résultats.
rel-002 = La libération n’indique pas de motif ; personne ne pourrait donc en rendre compte plus tard.
    .with-facts = La libération du résultat { $output-name } n’indique pas de motif ; personne ne pourrait donc en rendre compte plus tard.
    .advice = Donnez le motif en toutes lettres : ce qui a été vérifié, et pourquoi le résultat peut sortir.
rel-003 = La tâche est la vôtre, et personne ne libère les résultats de ses propres tâches.
    .with-facts = Le résultat { $output-name } vient de votre propre tâche, et personne ne libère les résultats de ses propres tâches.
    .advice = Adressez-vous à une autre personne de l’intendance des données : personne ne libère les résultats de ses propres tâches.
rel-004 = Un résultat protégé ne peut être libéré qu’en le déclassifiant en ouvert ou interne.
    .with-facts = Le résultat { $output-name } est de classe { $output-class } : il peut être libéré comme « open » ou « internal », mais pas comme « { $release-new_class } ».
    .advice = Libérez-le comme ouvert ou interne, ou laissez-le où il est : aucun résultat protégé ne passe une frontière en tant que tel.
rel-005 = Un résultat qui reste à caractère personnel ou protégé ne peut pas être libéré vers un lieu hors des territoires permis pour ses données.
    .with-facts = Le résultat { $output-name } ne peut pas être libéré comme « { $release-new_class } » vers { $home-jurisdiction }, hors des territoires permis pour ses données (de { $way_home-origins }).
    .advice = Libérez-le comme ouvert ou interne une fois que plus personne n’y est reconnaissable ; comme données à caractère personnel, il reste dans son territoire.

## Règles en général

adm-404 = Aucune règle n’admet cette demande, et ce qu’aucune règle n’admet est refusé.
    .advice = Demandez au membre qui a refusé laquelle de ses règles devrait l’admettre, et si les membres du traité veulent en ajouter une.
pol-500 = Une règle n’a pas pu être évaluée, et ce qui ne peut pas être évalué est refusé.
    .with-facts = La règle { $rule } n’a pas pu être évaluée, et ce qui ne peut pas être évalué est refusé.
    .advice = Signalez-le à l’équipe d’exploitation du nœud qui a refusé : un fait manque, ou une règle est défectueuse. Tant que ce n’est pas réparé, un nouvel essai n’y change rien.
other-rule = Le nœud de { $by } l’a refusé selon sa règle { $rule } (source : { $source }).
    .advice = Demandez au membre dont c’est la règle ce qui changerait la réponse.

## Offres

ofr-001 = L’offre désigne un site, un membre ou un traité qui n’est pas le nôtre.
    .with-facts = L’offre pour le site { $site-id } ne s’adresse pas à nous : elle désigne un autre site, un autre membre ou un autre traité.
    .advice = Envoyez l’offre au nœud du membre dont elle désigne le site, sous le traité que les deux ont chargé.
ofr-002 = L’offre est arrivée après la fin de sa validité.
    .advice = Faites une nouvelle offre ; si elle arrive encore trop tard, réglez les horloges des deux nœuds (NTP).
ofr-003 = Le nœud d’origine a retiré cette offre.
    .advice = Soumettez de nouveau la tâche si elle doit encore s’exécuter.
ofr-004 = Le prix maximal de l’offre n’est pas celui qui résulte du tarif du traité.
    .advice = Vérifiez que les deux nœuds ont chargé le même traité, et refaites l’offre selon son tarif.

## Données

dat-001 = La fiche d’un jeu de données est inconnue ici, ou n’est pas celle que son membre a signée.
    .with-facts = La fiche du jeu de données { $data-id } est inconnue ici, ou n’est pas celle que son membre a signée.
    .advice = Vérifiez le nom du jeu de données ; s’il est juste, demandez à son membre de publier de nouveau la fiche signée.

## Placement et capacité

plc-001 = Après les sites que vous avez demandés ou exclus, il ne reste aucun site au choix.
    .advice = Permettez plus de sites, ou excluez-en moins.
plc-002 = La personne qui a soumis la tâche a demandé d’autres sites ou a exclu celui-ci.
    .with-facts = La personne qui a soumis la tâche a demandé d’autres sites que { $site-id }, ou a exclu celui-ci.
    .advice = Soumettez la tâche de nouveau en permettant ce site.
cap-001 = Le site ne pourra jamais exécuter cette tâche : elle demande plus que ce qu’il possède.
    .with-facts = Le site { $site-id } ne pourra jamais exécuter cette tâche, qui demande plus { $resource ->
        [cpu_cores] de cœurs
        [memory_bytes] d’octets de mémoire
        [gpus] d’accélérateurs
       *[other] de { $resource }
    } que le site n’en possède : { $wanted } demandés, { $limit } sur place.
    .advice = Demandez moins, ou choisissez un site plus grand.
cap-002 = Le site n’a pas de place pour la tâche en ce moment, et sa file d’attente est pleine.
    .with-facts = Le site { $site-id } n’a pas de place pour la tâche en ce moment, et sa file d’attente est pleine : { $queued } places sur { $queued_max } sont prises.
    .advice = Soumettez de nouveau la tâche plus tard, ou permettez d’autres sites.
cap-003 = Les tâches d’autres membres occupent déjà la part du site que le traité accorde aux invités.
    .with-facts = Avec cette tâche, les invités occuperaient plus { $resource ->
        [cpu_cores] de cœurs
        [memory_bytes] d’octets de mémoire
        [gpus] d’accélérateurs
       *[other] de { $resource }
    } du site { $site-id } que le traité ne leur en accorde : { $wanted } en tout, { $limit } permis.
    .advice = Soumettez de nouveau la tâche plus tard, demandez moins, ou choisissez un autre site.
cap-004 = Le site n’exécute pas l’image que la tâche désigne.
    .advice = Désignez une image de la liste du site, ou demandez au membre du site d’ajouter la vôtre.
cap-005 = Le site n’a pas de compte pour la personne qui fait la recherche.
    .advice = Demandez un compte à l’exploitant du site, ou choisissez un site qui vous en donne un.
cap-006 = Le site n’autorise pas une option que la tâche donne à son ordonnanceur.
    .advice = Retirez l’option, ou demandez à l’exploitant du site de l’autoriser.
cap-007 = Le site ne peut pas exécuter une tâche de cette forme.
    .advice = Changez ce que la tâche demande comme le disent les faits, ou choisissez un autre site.
cap-008 = Les fichiers du projet sur le site prendraient plus de disque que le site n’en donne au projet.
    .advice = Attendez la fin de tâches en cours, apportez des fichiers moins nombreux ou plus petits, ou demandez-en plus à l’exploitant du site.
cap-009 = Une tâche invitée qui n’enregistre pas son travail s’exécuterait sur le site plus longtemps que le traité ne le permet : si le propriétaire a besoin de la place, tout le travail serait perdu.
    .advice = Faites enregistrer son travail à la tâche et dites-le avec [checkpoint] dans le fichier de tâche, ou fixez une durée maximale plus courte.
dep-001 = Une tâche que celle-ci attend ne s’est pas terminée avec succès.
    .advice = Cherchez pourquoi elle a fini ainsi, puis soumettez les deux de nouveau.
dep-002 = Une tâche que celle-ci doit attendre est inconnue, ou appartient à un autre projet.
    .advice = Nommez des tâches du même projet, soumises avant au même nœud.

## Projets et crédit

led-001 = L’allocation du projet ne couvre pas le prix maximal de la tâche.
    .advice = Demandez moins de temps ou moins de ressources, choisissez un site moins cher, ou demandez une allocation plus grande.
led-002 = Ce projet n’existe pas, ou vous n’en faites pas partie.
    .advice = Désignez l’un de vos projets, ou demandez à sa direction de vous y ajouter.

## Passeports et visas

vis-001 = Le passeport ou un visa qu’il contient est illisible.
    .advice = Obtenez un nouveau passeport de votre membre d’origine et envoyez-le tel quel.
vis-002 = Le passeport ou un visa qu’il contient a expiré.
    .advice = Obtenez un nouveau passeport de votre membre d’origine.
vis-003 = Un visa n’a pas été délivré par un membre du traité avec une clé que le traité désigne.
    .advice = Demandez le visa à un membre du traité ; si le membre a changé de clé, les membres doivent signer un traité avec la nouvelle clé.
vis-004 = Un visa comporte des conditions que ce nœud ne comprend pas ; il ne compte donc pas.
    .advice = Demandez à l’émetteur un visa sans conditions.
vis-005 = Un visa n’est pas lié à la clé avec laquelle la tâche a été demandée.
    .advice = Obtenez un nouveau passeport avec la clé que vous utilisez maintenant.
vis-006 = La signature du passeport ou d’un visa qu’il contient est fausse.
    .advice = Obtenez un nouveau passeport de votre membre d’origine et ne le modifiez pas.
vis-007 = Un visa n’est pas encore valable, ou l’est plus longtemps que les 24 heures que le traité permet.
    .advice = Obtenez un nouveau passeport ; si cela ne suffit pas, demandez à l’émetteur de régler son horloge (NTP) et de délivrer des visas de 24 heures au plus.
vis-008 = Un visa du passeport concerne une autre personne.
    .advice = Obtenez un nouveau passeport à votre nom ; les visas ne se cèdent pas.

## Requêtes entre nœuds

sig-001 = Il manque à la requête signée un en-tête ou un élément que sa signature doit couvrir.
    .advice = Signez la requête selon le profil sta/fed/1 et envoyez chaque en-tête qu’il couvre.
sig-002 = Un en-tête de la signature n’est pas conforme à la RFC 9421 ou au profil sta/fed/1.
    .advice = Vérifiez que les deux nœuds utilisent des versions compatibles et qu’aucun mandataire entre eux ne modifie les en-têtes.
sig-003 = La requête est signée avec une clé qui ne figure pas dans le traité.
    .advice = Vérifiez que les deux nœuds ont chargé le même traité et que l’expéditeur signe avec sa clé actuelle.
sig-004 = La signature de la requête a expiré.
    .advice = Signez de nouveau la requête ; si cela ne suffit pas, réglez les horloges des deux nœuds (NTP).
sig-005 = Les horloges des deux nœuds sont trop éloignées pour savoir si la requête est récente.
    .advice = Réglez les horloges des deux nœuds (NTP) ; un écart de 5 secondes au plus est permis.
sig-006 = Le corps de la requête n’est pas celui qui a été signé.
    .advice = Envoyez de nouveau la requête ; si cela se reproduit, cherchez entre les nœuds un mandataire qui modifie le corps.
sig-007 = La signature ne correspond pas à la requête.
    .advice = Vérifiez que l’expéditeur signe avec sa propre clé du traité et qu’aucun mandataire entre les nœuds ne modifie la requête.
sig-008 = La requête a été signée pour le nœud d’un autre membre.
    .advice = Envoyez-la à l’URL que le traité désigne pour ce membre, et signez-la pour cette URL.
sig-009 = La même requête signée est déjà arrivée ; elle n’est donc pas exécutée une seconde fois.
    .advice = Pour répéter une requête, signez-la de nouveau et gardez sa clé d’idempotence.
idm-001 = La clé d’idempotence a déjà servi avec un autre corps.
    .advice = Prenez une nouvelle clé d’idempotence pour une nouvelle requête, ou répétez la première sans la modifier.
doc-001 = Un document signé n’est pas valable : sa signature, son type ou son signataire ne convient pas.
    .advice = Demandez à l’expéditeur le document tel qu’il a été délivré, et vérifiez que les deux nœuds ont chargé le même traité.
tre-001 = Les deux nœuds ont chargé des traités différents.
    .advice = Chargez le même traité signé sur les deux nœuds ; son empreinte doit être identique.

## Résultats

out-001 = Le résultat reste là où il a été produit jusqu’à ce que l’intendance des données le libère.
    .advice = Demandez à l’intendance des données du membre dont relèvent les données de libérer le résultat.
out-002 = La tâche n’a pas de tel résultat, ou n’est pas encore terminée.
    .advice = Vérifiez le nom du résultat, ou attendez la fin de la tâche.
gat-001 = Ce sont les poids d’un modèle, et ils n’ont pas franchi la porte prévue pour les poids.
    .with-facts = { $output } contient les poids d’un modèle, et ils n’ont pas franchi la porte prévue pour les poids ({ $verdict }).
    .advice = Ce que la porte demande figure dans les motifs ci-contre. Quand cela sera là, récupérez de nouveau le résultat.
grd-001 = La borne sur la probabilité de dommage retient ceci pour une personne.
    .with-facts = La borne sur la probabilité de dommage est de { $guardrail-bound }, le seuil de { $guardrail-threshold }, et { $guardrail-used } du budget de { $guardrail-budget } sont utilisés : une personne doit en décider.
    .advice = Une personne responsable de la sécurité l’examine ; des issues étiquetées et des évaluations abaissent la borne, et le budget est renouvelé à la période suivante.

## Suspensions et ordres d’arrêt

hld-001 = La décision sur cette suspension revient à d’autres personnes.
    .with-facts = La suspension { $hold } attend : { $hold-awaits }.
    .advice = Adressez-vous à une personne qui a ce rôle à ce nœud ; sta hold list montre qui chaque suspension attend.
hld-002 = Personne ne peut lever cette suspension.
    .with-facts = La suspension { $hold } dit { $verdict }, et personne ne peut passer outre.
    .advice = Ce qu’un ordre a arrêté reprend quand l’ordre est levé ; ce qu’une règle refuse ne reprend pas.
stp-001 = L’ordre d’arrêt, ou sa levée, n’est pas valable.
    .with-facts = L’ordre d’arrêt, ou sa levée, n’est pas valable : { $problem }.
    .advice = Faites-le signer par assez de personnes nommées par le traité, et envoyez-le à temps.

## Incidents

inc-001 = Des rapports sur l’incident sont encore dus selon la loi ; il ne peut donc pas être clos.
    .with-facts = L’incident { $incident } ne peut pas être clos : des rapports sont encore dus selon la loi, délai { $clocks }.
    .advice = Informez les autorités et notez-le avec sta incident notify. Si rien n’est dû en fin de compte, une personne ayant le rôle legal le clôt sans les rapports et dit pourquoi.
inc-002 = L’incident n’est pas résolu ; il ne peut donc pas être clos.
    .with-facts = L’incident { $incident } n’est pas résolu ; il ne peut donc pas être clos.
    .advice = Notez d’abord depuis quand le danger est écarté : sta incident resolve.
inc-003 = L’incident est clos ; rien ne peut y être ajouté.
    .with-facts = L’incident { $incident } est clos ; rien ne peut y être ajouté.
    .advice = Signalez un nouvel incident et nommez celui-ci dans son résumé.

## Personnes et requêtes

aut-001 = Vous n’avez pas ouvert de session, ou votre session n’est plus valable.
    .advice = Ouvrez une session et renvoyez la requête avec votre jeton.
aut-002 = Vous n’avez pas le droit que cette requête exige.
    .advice = Demandez ce droit à l’équipe d’exploitation de votre nœud, ou adressez-vous à une personne qui l’a.
req-001 = Rien de tel n’existe ici, ou vous n’êtes pas en droit de le voir.
    .advice = Vérifiez l’adresse et l’identifiant, et que la session ouverte est bien la vôtre.
req-002 = La requête est illisible.
    .advice = Corrigez la requête selon les précisions données, et renvoyez-la.
req-003 = Le corps de la requête est plus grand que ce que ce nœud accepte.
    .advice = Envoyez moins à la fois ; téléversez les grands fichiers en entrée, par parties.
req-004 = Cela existe déjà avec un autre contenu, ou son état actuel ne le permet pas.
    .advice = Consultez son état actuel, puis voyez si la requête est encore nécessaire.
req-005 = La plage demandée n’est pas comprise dans le fichier.
    .advice = Demandez d’abord la taille du fichier, puis une plage qui s’y trouve.
req-006 = Le nœud a plus à faire qu’il ne peut en accepter, ou il est en cours d’arrêt.
    .advice = Réessayez plus tard ; rien de cette requête n’a été exécuté.
req-007 = Le nœud de l’autre membre n’a pas répondu.
    .advice = Réessayez plus tard ; entre-temps, les tâches locales se poursuivent.
