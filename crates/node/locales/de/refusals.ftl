# SPDX-License-Identifier: Apache-2.0
# Was Menschen lesen, wenn die Antwort Nein ist. Eine Nachricht je Code, in der Reihenfolge der Codes.
#
# Der Wert ist ein Satz, der ohne Angaben auskommt. `.with-facts` sagt ihn mit Angaben: `site.id` heißt `$site-id`; fehlt
# eine davon, gilt der Wert. `.advice` sagt, was die Antwort ändern würde. Englisch, Französisch und Deutsch sind
# gleichrangig: Wer eine Sprache ändert, ändert alle drei.

## Regeln: Souveränität

sov-001 = Der Vertrag ist derzeit nicht in Kraft, daher darf kein Auftrag unter ihm laufen.
    .advice = Warten Sie, bis der Vertrag beginnt, oder lassen Sie die Mitglieder einen Vertrag unterzeichnen, der in Kraft ist.
sov-002 = Das Heimatmitglied des Auftrags oder das Mitglied, dem der Standort gehört, ist nicht Mitglied des Vertrags.
    .with-facts = { $treaty-home_is_member ->
        [false] Das Heimatmitglied des Auftrags, { $home-member }, ist nicht Mitglied des Vertrags.
       *[other] Das Mitglied, dem der Standort gehört, { $site-member }, ist nicht Mitglied des Vertrags.
    }
    .advice = Reichen Sie den Auftrag bei einem Mitglied des Vertrags ein und wählen Sie den Standort eines Mitglieds; ein neues Mitglied tritt durch einen Vertrag bei, den alle unterzeichnen.
sov-003 = Geschützte Daten dürfen nur an einem Standort der eigenen Nation verarbeitet werden, den ihr eigenes Mitglied betreibt.
    .with-facts = Der Datensatz { $data-id } hat die Klasse { $data-class } und gehört zu { $data-origin }; am Standort { $site-id } (Rechtsraum { $site-jurisdiction }, Mitglied { $site-member }) darf er daher nicht verarbeitet werden.
    .advice = Wählen Sie einen Standort der Nation, zu der die Daten gehören, betrieben von deren eigenem Mitglied. Weder ein Visum noch eine Grundlage für die Übermittlung ändert daran etwas.
sov-004 = Der Betreiber des Standorts untersteht auch dem Recht eines anderen Staates, das ihn zur Herausgabe der Daten verpflichten könnte.
    .with-facts = Der Datensatz { $data-id } (Klasse { $data-class }) darf am Standort { $site-id } nicht verarbeitet werden: Dessen Betreiber, { $site-operator }, untersteht auch dem Recht eines anderen Staates ({ $site-exposed_to }), das ihn zur Herausgabe der Daten verpflichten könnte.
    .advice = Wählen Sie einen Standort, dessen Betreiber nur dem Recht des Ortes untersteht, oder verarbeiten Sie dort offene oder interne Daten.
sov-005 = Der Standort liegt außerhalb der Gebiete, in denen der Datensatz laut seinem Eintrag verarbeitet werden darf.
    .with-facts = Der Datensatz { $data-id } darf nur in { $data-residency } verarbeitet werden, und der Standort { $site-id } liegt in { $site-jurisdiction }.
    .advice = Wählen Sie einen Standort in einem zulässigen Gebiet, oder bitten Sie das Mitglied, dem der Datensatz gehört, das Gebiet in einem neuen Eintrag zu erweitern.
sov-006 = Ein Auftrag mit personenbezogenen Daten, auch besonderen Kategorien (Art. 9 DSGVO), oder mit geschützten Daten darf keinen Netzzugang haben.
    .with-facts = Der Auftrag verlangt einen Netzzugang; mit Daten der Klasse { $job-class } darf er keinen haben.
    .advice = Verlangen Sie keinen Netzzugang und bringen Sie mit, was der Auftrag an Eingaben braucht; mit offenen und internen Daten ist ein Netzzugang zulässig.
sov-007 = Das andere Mitglied hat das Protokoll dieses Knotens nicht rechtzeitig gegengezeichnet, daher überschreitet vorerst kein Auftrag die Grenze.
    .advice = Warten Sie, bis das andere Mitglied das Protokoll wieder gegengezeichnet hat; Aufträge im eigenen Land laufen währenddessen weiter.
sov-008 = Das Projekt ist nicht aktiv, oder sein Kontingent deckt den Höchstpreis des Auftrags nicht.
    .with-facts = { $project-active ->
        [false] Das Projekt { $project-id } ist nicht aktiv.
       *[other] Das Kontingent des Projekts { $project-id } deckt den Höchstpreis des Auftrags nicht.
    }
    .advice = Nehmen Sie eines Ihrer Projekte, dessen Kontingent den Höchstpreis deckt, verlangen Sie weniger Zeit, oder beantragen Sie ein größeres Kontingent.
sov-009 = Der Pass ist nicht gültig, oder das Heimatmitglied bestätigt Ihre Zugehörigkeit nicht.
    .with-facts = { $visa-valid ->
        [false] Der Pass ist nicht gültig: Er ließ sich mit den Schlüsseln des Vertrags nicht prüfen, oder er gilt nicht zu dieser Zeit.
       *[other] Kein Visum von { $home-member } im Pass bestätigt Ihre Zugehörigkeit.
    }
    .advice = Holen Sie bei Ihrem Heimatmitglied einen Pass mit einem zeitlich gültigen Visum über Ihre Zugehörigkeit.
sov-010 = Das Ergebnis würde eine Grenze überschreiten, ohne dass zwischen den beiden Mitgliedern ein Vertrag in Kraft ist.
    .with-facts = Das Ergebnis würde die Grenze von { $site-member } nach { $home-member } überschreiten, ohne dass zwischen beiden ein Vertrag in Kraft ist.
    .advice = Das Ergebnis bleibt beim Gastgeber, bis zwischen den beiden Mitgliedern wieder ein Vertrag in Kraft ist.

## Regeln: Übermittlung von Daten

dtr-001 = Der Datensatz darf für den Zweck, den der Auftrag angibt, nicht verwendet werden.
    .with-facts = Der Datensatz { $data-id } darf für den Zweck „{ $job-purpose }“, den der Auftrag angibt, nicht verwendet werden.
    .advice = Geben Sie einen Zweck an, den der Eintrag des Datensatzes erlaubt, oder bitten Sie das Mitglied, dem der Datensatz gehört, den Ihren aufzunehmen.
dtr-002 = Der Pass enthält kein Visum, das Zugang zu diesem Datensatz gewährt.
    .with-facts = Der Datensatz { $data-id } hat die Klasse { $data-class }, und der Pass enthält kein Visum, das Zugang zu ihm gewährt.
    .advice = Bitten Sie das Mitglied, dem der Datensatz gehört, um ein Visum für diesen Datensatz; offene Daten brauchen keines.
dtr-003 = Personenbezogene Daten dürfen ihr Gebiet nur auf einer Rechtsgrundlage verlassen, etwa aufgrund eines Angemessenheitsbeschlusses oder geeigneter Garantien (Art. 45 und 46 DSGVO), und der Vertrag enthält für diesen Standort keine.
    .with-facts = Der Datensatz { $data-id } (Klasse { $data-class }) darf nicht von { $data-origin } an den Standort { $site-id } in { $site-jurisdiction } übermittelt werden: Der Vertrag enthält keine Grundlage für die Übermittlung, etwa einen Angemessenheitsbeschluss oder geeignete Garantien (Art. 45 und 46 DSGVO), die einen Betreiber der Form „{ $site-operator_form }“ erfasst.
    .advice = Wählen Sie einen Standort im Gebiet der Daten oder einen, dessen Betreiberform eine Grundlage des Vertrags erfasst; sonst müssen sich die Mitglieder auf eine Grundlage einigen.
dtr-004 = Das Ergebnis wurde aus personenbezogenen oder geschützten Daten gewonnen, und der Auftrag kommt von außerhalb der Gebiete, in denen diese Daten sein dürfen.
    .with-facts = Das Ergebnis { $output-name } (Klasse { $output-class }) wurde aus Daten von { $way_home-origins } gewonnen, die nicht nach { $home-jurisdiction } gelangen dürfen, weil es außerhalb ihrer zulässigen Gebiete liegt.
    .advice = Bitten Sie einen Data Steward des Mitglieds, dem der Datensatz gehört, das Ergebnis freizugeben, sobald darin keine Person mehr zu erkennen ist.
dtr-005 = Das Ergebnis wurde aus geschützten Daten gewonnen, die ihre eigene Nation nicht verlassen.
    .with-facts = Das Ergebnis { $output-name } (Klasse { $output-class }) wurde aus geschützten Daten von { $way_home-origins } gewonnen, die ihre eigene Nation nicht nach { $home-jurisdiction } verlassen.
    .advice = Bitten Sie einen Data Steward der Nation, die die Daten schützt, das Ergebnis auf offen oder intern herabzustufen.
dtr-006 = Das Ergebnis wurde aus internen Daten gewonnen, und der Auftrag kommt von außerhalb der Gebiete, in denen diese Daten sein dürfen.
    .with-facts = Das Ergebnis { $output-name } (Klasse { $output-class }) wurde aus Daten gewonnen, die nicht in { $home-jurisdiction } sein dürfen, und kein Data Steward hat es freigegeben.
    .advice = Bitten Sie einen Data Steward des Mitglieds, dem der Datensatz gehört, das Ergebnis freizugeben.

## Regeln: Freigaben

rel-001 = Sie dürfen dieses Ergebnis nicht freigeben, weil nicht alle Datensätze des Auftrags in Ihrer Obhut sind.
    .with-facts = Sie dürfen das Ergebnis { $output-name } als Data Steward von { $steward-member } nicht freigeben, weil nicht alle Datensätze des Auftrags in Ihrer Obhut sind.
    .advice = Nur ein Data Steward des Mitglieds, dem alle Datensätze des Auftrags gehören, darf dessen Ergebnisse freigeben.
rel-002 = Die Freigabe nennt keinen Grund, daher könnte später niemand Rechenschaft über sie ablegen.
    .with-facts = Die Freigabe des Ergebnisses { $output-name } nennt keinen Grund, daher könnte später niemand Rechenschaft über sie ablegen.
    .advice = Nennen Sie den Grund in Worten: was geprüft wurde und warum das Ergebnis hinausgehen darf.
rel-003 = Der Auftrag ist Ihr eigener, und niemand gibt die Ergebnisse eigener Aufträge frei.
    .with-facts = Das Ergebnis { $output-name } stammt aus Ihrem eigenen Auftrag, und niemand gibt die Ergebnisse eigener Aufträge frei.
    .advice = Bitten Sie einen anderen Data Steward: Niemand gibt die Ergebnisse eigener Aufträge frei.
rel-004 = Ein geschütztes Ergebnis kann nur freigegeben werden, indem es auf offen oder intern herabgestuft wird.
    .with-facts = Das Ergebnis { $output-name } hat die Klasse { $output-class }: Es kann als „open“ oder „internal“ freigegeben werden, aber nicht als „{ $release-new_class }“.
    .advice = Geben Sie es als offen oder intern frei, oder lassen Sie es, wo es ist: Kein geschütztes Ergebnis überschreitet als solches eine Grenze.
rel-005 = Ein Ergebnis, das personenbezogen oder geschützt bleibt, kann nicht an einen Ort außerhalb der zulässigen Gebiete seiner Daten freigegeben werden.
    .with-facts = Das Ergebnis { $output-name } kann nicht als „{ $release-new_class }“ nach { $home-jurisdiction } freigegeben werden, weil dies außerhalb der zulässigen Gebiete seiner Daten (von { $way_home-origins }) liegt.
    .advice = Geben Sie es als offen oder intern frei, sobald darin keine Person mehr zu erkennen ist; als personenbezogene Daten bleibt es in seinem Gebiet.

## Regeln im Allgemeinen

adm-404 = Keine Regel lässt diese Anfrage zu, und was keine Regel zulässt, wird abgelehnt.
    .advice = Fragen Sie das Mitglied, das abgelehnt hat, welche seiner Regeln sie zulassen sollte und ob die Mitglieder des Vertrags eine hinzufügen wollen.
pol-500 = Eine Regel ließ sich nicht auswerten, und was sich nicht auswerten lässt, wird abgelehnt.
    .with-facts = Die Regel { $rule } ließ sich nicht auswerten, und was sich nicht auswerten lässt, wird abgelehnt.
    .advice = Melden Sie es dem Betrieb des Knotens, der abgelehnt hat: Eine Angabe fehlt, oder eine Regel ist fehlerhaft. Bevor das behoben ist, ändert ein neuer Versuch nichts.
other-rule = Der Knoten von { $by } hat dies nach seiner Regel { $rule } abgelehnt (Quelle: { $source }).
    .advice = Fragen Sie das Mitglied, dessen Regel es ist, was die Antwort ändern würde.

## Angebote

ofr-001 = Das Angebot nennt einen Standort, ein Mitglied oder einen Vertrag, der nicht der unsere ist.
    .with-facts = Das Angebot für den Standort { $site-id } ist nicht für uns bestimmt: Es nennt einen anderen Standort, ein anderes Mitglied oder einen anderen Vertrag.
    .advice = Senden Sie das Angebot an den Knoten des Mitglieds, dessen Standort es nennt, unter dem Vertrag, den beide geladen haben.
ofr-002 = Das Angebot kam nach dem Ende seiner Gültigkeit.
    .advice = Machen Sie ein neues Angebot; kommt es wieder zu spät, stellen Sie die Uhren beider Knoten (NTP).
ofr-003 = Der Heimatknoten hat dieses Angebot zurückgezogen.
    .advice = Reichen Sie den Auftrag neu ein, wenn er noch laufen soll.
ofr-004 = Der Höchstpreis im Angebot ist nicht der, der sich aus dem Tarif des Vertrags ergibt.
    .advice = Prüfen Sie, ob beide Knoten denselben Vertrag geladen haben, und machen Sie das Angebot nach dessen Tarif neu.

## Daten

dat-001 = Der Eintrag eines Datensatzes ist hier unbekannt oder nicht der, den sein Mitglied unterzeichnet hat.
    .with-facts = Der Eintrag des Datensatzes { $data-id } ist hier unbekannt oder nicht der, den sein Mitglied unterzeichnet hat.
    .advice = Prüfen Sie den Namen des Datensatzes; stimmt er, bitten Sie dessen Mitglied, den unterzeichneten Eintrag erneut zu veröffentlichen.

## Platzierung und Kapazität

plc-001 = Nach den von Ihnen gewünschten oder ausgeschlossenen Standorten bleibt kein Standort zur Wahl.
    .advice = Lassen Sie mehr Standorte zu, oder schließen Sie weniger aus.
plc-002 = Es wurden andere Standorte verlangt, oder dieser wurde ausgeschlossen.
    .with-facts = Es wurden andere Standorte als { $site-id } verlangt, oder dieser wurde ausgeschlossen.
    .advice = Reichen Sie den Auftrag noch einmal ein und lassen Sie dabei diesen Standort zu.
cap-001 = Der Standort könnte diesen Auftrag nie ausführen: Er verlangt mehr, als der Standort hat.
    .with-facts = Der Standort { $site-id } könnte diesen Auftrag nie ausführen, denn dieser verlangt mehr { $resource ->
        [cpu_cores] Prozessorkerne
        [memory_bytes] Bytes an Arbeitsspeicher
        [gpus] Beschleuniger
       *[other] { $resource }
    }, als der Standort hat: { $wanted } verlangt, { $limit } vorhanden.
    .advice = Verlangen Sie weniger, oder wählen Sie einen größeren Standort.
cap-002 = Der Standort hat jetzt keinen Platz für den Auftrag, und seine Warteschlange ist voll.
    .with-facts = Der Standort { $site-id } hat jetzt keinen Platz für den Auftrag, und seine Warteschlange ist voll: { $queued } von { $queued_max } Plätzen sind belegt.
    .advice = Reichen Sie den Auftrag später noch einmal ein, oder lassen Sie andere Standorte zu.
cap-003 = Aufträge anderer Mitglieder belegen bereits den Anteil des Standorts, den der Vertrag Gästen gibt.
    .with-facts = Mit diesem Auftrag hätten Gäste am Standort { $site-id } mehr { $resource ->
        [cpu_cores] Prozessorkerne
        [memory_bytes] Bytes an Arbeitsspeicher
        [gpus] Beschleuniger
       *[other] { $resource }
    }, als der Vertrag ihnen gibt: { $wanted } insgesamt, { $limit } erlaubt.
    .advice = Reichen Sie den Auftrag später noch einmal ein, verlangen Sie weniger, oder wählen Sie einen anderen Standort.
cap-004 = Der Standort führt das Abbild, das der Auftrag nennt, nicht aus.
    .advice = Nennen Sie ein Abbild aus der Liste des Standorts, oder bitten Sie dessen Mitglied, Ihres aufzunehmen.
cap-005 = Der Standort hat kein Konto für die forschende Person.
    .advice = Bitten Sie den Betreiber des Standorts um ein Konto, oder wählen Sie einen Standort, der Ihnen eines gibt.
cap-006 = Der Standort erlaubt eine Option nicht, die der Auftrag seinem Scheduler mitgibt.
    .advice = Lassen Sie die Option weg, oder bitten Sie den Betreiber des Standorts, sie zu erlauben.
cap-007 = Der Standort kann einen Auftrag dieser Form nicht ausführen.
    .advice = Ändern Sie, was der Auftrag verlangt, wie es die Fakten sagen, oder wählen Sie einen anderen Standort.
cap-008 = Die Dateien des Projekts am Standort nähmen mehr Speicherplatz ein, als der Standort dem Projekt gibt.
    .advice = Warten Sie das Ende laufender Aufträge ab, bringen Sie weniger oder kleinere Dateien mit, oder bitten Sie den Betreiber um mehr.
cap-009 = Ein Gast, der seine Arbeit nicht sichert, liefe an diesem Standort länger, als der Vertrag es zulässt: Braucht der Eigentümer den Platz, wäre alle Arbeit verloren.
    .advice = Lassen Sie den Auftrag seine Arbeit sichern und sagen Sie es mit [checkpoint] in der Auftragsdatei, oder setzen Sie eine kürzere Höchstdauer.
dep-001 = Ein Auftrag, auf den dieser wartet, wurde nicht erfolgreich beendet.
    .advice = Klären Sie, warum er so endete, und reichen Sie dann beide neu ein.
dep-002 = Ein Auftrag, auf den dieser warten soll, ist unbekannt oder gehört zu einem anderen Projekt.
    .advice = Nennen Sie Aufträge desselben Projekts, die vorher am selben Knoten eingereicht wurden.

## Projekte und Guthaben

led-001 = Das Kontingent des Projekts deckt den Höchstpreis des Auftrags nicht.
    .advice = Verlangen Sie weniger Zeit oder weniger Ressourcen, wählen Sie einen günstigeren Standort, oder beantragen Sie ein größeres Kontingent.
led-002 = Ein solches Projekt gibt es nicht, oder Sie gehören ihm nicht an.
    .advice = Nennen Sie eines Ihrer Projekte, oder bitten Sie die Projektleitung, Sie aufzunehmen.

## Pässe und Visa

vis-001 = Der Pass oder ein Visum darin ist nicht lesbar.
    .advice = Holen Sie bei Ihrem Heimatmitglied einen neuen Pass und senden Sie ihn unverändert.
vis-002 = Der Pass oder ein Visum darin ist abgelaufen.
    .advice = Holen Sie bei Ihrem Heimatmitglied einen neuen Pass.
vis-003 = Ein Visum wurde nicht von einem Mitglied des Vertrags mit einem Schlüssel ausgestellt, den der Vertrag nennt.
    .advice = Beantragen Sie das Visum bei einem Mitglied des Vertrags; hat das Mitglied seinen Schlüssel gewechselt, müssen die Mitglieder einen Vertrag mit dem neuen Schlüssel unterzeichnen.
vis-004 = Ein Visum enthält Bedingungen, die dieser Knoten nicht versteht, und zählt daher nicht.
    .advice = Bitten Sie die ausstellende Stelle um ein Visum ohne Bedingungen.
vis-005 = Ein Visum ist nicht an den Schlüssel gebunden, mit dem der Auftrag verlangt wurde.
    .advice = Holen Sie einen neuen Pass mit dem Schlüssel, den Sie jetzt verwenden.
vis-006 = Die Signatur des Passes oder eines Visums darin ist falsch.
    .advice = Holen Sie bei Ihrem Heimatmitglied einen neuen Pass und verändern Sie ihn nicht.
vis-007 = Ein Visum gilt noch nicht oder länger als die 24 Stunden, die der Vertrag erlaubt.
    .advice = Holen Sie einen neuen Pass; hilft das nicht, bitten Sie die ausstellende Stelle, ihre Uhr zu stellen (NTP) und Visa für höchstens 24 Stunden auszustellen.
vis-008 = Ein Visum im Pass betrifft eine andere Person.
    .advice = Holen Sie einen neuen, eigenen Pass; Visa sind nicht übertragbar.

## Anfragen zwischen Knoten

sig-001 = Der signierten Anfrage fehlt ein Header oder ein Bestandteil, den ihre Signatur abdecken muss.
    .advice = Signieren Sie die Anfrage im Profil sta/fed/1 und senden Sie jeden Header, den es abdeckt.
sig-002 = Ein Header der Signatur entspricht nicht RFC 9421 oder dem Profil sta/fed/1.
    .advice = Prüfen Sie, ob auf beiden Knoten zueinander passende Versionen laufen und kein Proxy dazwischen Header ändert.
sig-003 = Die Anfrage ist mit einem Schlüssel signiert, der nicht im Vertrag steht.
    .advice = Prüfen Sie, ob beide Knoten denselben Vertrag geladen haben und ob die Gegenseite mit ihrem aktuellen Schlüssel signiert.
sig-004 = Die Signatur der Anfrage ist abgelaufen.
    .advice = Signieren Sie die Anfrage neu; hilft das nicht, stellen Sie die Uhren beider Knoten (NTP).
sig-005 = Die Uhren der beiden Knoten gehen zu weit auseinander, um zu erkennen, ob die Anfrage frisch ist.
    .advice = Stellen Sie die Uhren beider Knoten (NTP); erlaubt sind höchstens 5 Sekunden Abstand.
sig-006 = Der Inhalt der Anfrage ist nicht der, der signiert wurde.
    .advice = Senden Sie die Anfrage noch einmal; geschieht es wieder, suchen Sie einen Proxy zwischen den Knoten, der den Inhalt ändert.
sig-007 = Die Signatur passt nicht zur Anfrage.
    .advice = Prüfen Sie, ob die Gegenseite mit ihrem eigenen Schlüssel aus dem Vertrag signiert und kein Proxy dazwischen die Anfrage ändert.
sig-008 = Die Anfrage wurde für den Knoten eines anderen Mitglieds signiert.
    .advice = Senden Sie sie an die URL, die der Vertrag für dieses Mitglied nennt, und signieren Sie sie für diese URL.
sig-009 = Dieselbe signierte Anfrage kam schon einmal und wird daher kein zweites Mal ausgeführt.
    .advice = Um eine Anfrage zu wiederholen, signieren Sie sie neu und behalten Sie ihren Idempotenzschlüssel bei.
idm-001 = Der Idempotenzschlüssel wurde schon mit einem anderen Inhalt verwendet.
    .advice = Verwenden Sie für eine neue Anfrage einen neuen Idempotenzschlüssel, oder wiederholen Sie die erste Anfrage unverändert.
doc-001 = Ein signiertes Dokument hält der Prüfung nicht stand: Signatur, Art oder unterzeichnende Stelle ist falsch.
    .advice = Bitten Sie die Gegenseite um das Dokument, wie es ausgestellt wurde, und prüfen Sie, ob beide Knoten denselben Vertrag geladen haben.
tre-001 = Die beiden Knoten haben verschiedene Verträge geladen.
    .advice = Laden Sie auf beiden Knoten denselben unterzeichneten Vertrag; sein Hashwert muss gleich sein.

## Ergebnisse

out-001 = Das Ergebnis bleibt, wo es entstanden ist, bis ein Data Steward es freigibt.
    .advice = Bitten Sie einen Data Steward des Mitglieds, dem die Daten gehören, das Ergebnis freizugeben.
out-002 = Der Auftrag hat kein solches Ergebnis oder ist noch nicht beendet.
    .advice = Prüfen Sie den Namen des Ergebnisses, oder warten Sie, bis der Auftrag beendet ist.
gat-001 = Dies sind Gewichte eines Modells, und sie haben das Tor für Gewichte nicht passiert.
    .with-facts = { $output } enthält Gewichte eines Modells, und sie haben das Tor für Gewichte nicht passiert ({ $verdict }).
    .advice = Was das Tor verlangt, steht in den Gründen daneben. Wenn es da ist, holen Sie das Ergebnis noch einmal.
grd-001 = Die Schranke für die Wahrscheinlichkeit eines Schadens hält dies für eine Person an.
    .with-facts = Die Schranke für die Wahrscheinlichkeit eines Schadens ist { $guardrail-bound }, die Schwelle { $guardrail-threshold }, und { $guardrail-used } des Budgets von { $guardrail-budget } sind verbraucht: Eine Person muss entscheiden.
    .advice = Eine für Sicherheit verantwortliche Person sieht es sich an; bewertete Ergebnisse und Prüfungen senken die Schranke, und im nächsten Zeitraum ist das Budget neu.

## Anhalten und Anordnungen dazu

hld-001 = Über dieses Anhalten müssen andere Personen entscheiden.
    .with-facts = Das Anhalten { $hold } wartet auf: { $hold-awaits }.
    .advice = Wenden Sie sich an jemanden mit dieser Rolle an diesem Knoten; sta hold list zeigt, auf wen gewartet wird.
hld-002 = Niemand darf dies freigeben.
    .with-facts = Das Anhalten { $hold } lautet { $verdict }, und niemand darf sich darüber hinwegsetzen.
    .advice = Was eine Anordnung angehalten hat, geht weiter, wenn sie aufgehoben wird; was eine Regel verbietet, geht nicht weiter.
stp-001 = Die Anordnung zum Anhalten oder ihre Aufhebung gilt nicht.
    .with-facts = Die Anordnung zum Anhalten oder ihre Aufhebung gilt nicht: { $problem }.
    .advice = Lassen Sie genügend der im Vertrag genannten Personen unterschreiben, und senden Sie sie rechtzeitig.

## Vorfälle

inc-001 = Zu dem Vorfall sind noch Berichte gesetzlich fällig, deshalb kann er nicht geschlossen werden.
    .with-facts = Der Vorfall { $incident } kann nicht geschlossen werden: Berichte sind noch gesetzlich fällig, Frist { $clocks }.
    .advice = Unterrichten Sie die Behörden und halten Sie das mit sta incident notify fest. Ist doch nichts fällig, schließt ihn jemand mit der Rolle legal ohne die Berichte und sagt, warum.
inc-002 = Der Vorfall ist nicht behoben, deshalb kann er nicht geschlossen werden.
    .with-facts = Der Vorfall { $incident } ist nicht behoben, deshalb kann er nicht geschlossen werden.
    .advice = Halten Sie zuerst fest, seit wann die Gefahr vorüber ist: sta incident resolve.
inc-003 = Der Vorfall ist geschlossen, und ihm kann nichts hinzugefügt werden.
    .with-facts = Der Vorfall { $incident } ist geschlossen, und ihm kann nichts hinzugefügt werden.
    .advice = Melden Sie einen neuen Vorfall und nennen Sie diesen in der Zusammenfassung.

## Personen und Anfragen

aut-001 = Sie sind nicht angemeldet, oder Ihre Anmeldung ist nicht mehr gültig.
    .advice = Melden Sie sich an und senden Sie die Anfrage mit Ihrem Token noch einmal.
aut-002 = Sie haben das Recht nicht, das diese Anfrage braucht.
    .advice = Bitten Sie den Betrieb Ihres Knotens um das Recht, oder wenden Sie sich an jemanden, der es hat.
req-001 = So etwas gibt es hier nicht, oder es ist nicht für Sie einsehbar.
    .advice = Prüfen Sie die Adresse und die Kennung und ob Sie als die richtige Person angemeldet sind.
req-002 = Die Anfrage ist nicht lesbar.
    .advice = Berichtigen Sie die Anfrage nach den Einzelheiten und senden Sie sie noch einmal.
req-003 = Der Inhalt der Anfrage ist größer, als dieser Knoten annimmt.
    .advice = Senden Sie weniger auf einmal; laden Sie große Dateien als Eingaben in Teilen hoch.
req-004 = Es besteht schon mit anderem Inhalt, oder sein jetziger Zustand lässt dies nicht zu.
    .advice = Sehen Sie sich den jetzigen Zustand an und entscheiden Sie dann, ob die Anfrage noch nötig ist.
req-005 = Der verlangte Bereich liegt nicht innerhalb der Datei.
    .advice = Fragen Sie zuerst nach der Größe der Datei und dann nach einem Bereich innerhalb davon.
req-006 = Der Knoten hat mehr zu tun, als er jetzt annehmen kann, oder er wird gerade beendet.
    .advice = Versuchen Sie es später noch einmal; von dieser Anfrage wurde nichts ausgeführt.
req-007 = Der Knoten des anderen Mitglieds hat nicht geantwortet.
    .advice = Versuchen Sie es später noch einmal; Aufträge im eigenen Land laufen währenddessen weiter.
