# SPDX-License-Identifier: Apache-2.0
# What people read when the answer is no. One message a code, in the order of the codes.
#
# The value is one sentence that holds without facts. `.with-facts` says it with them: `site.id` is `$site-id`; where one
# of its facts is missing, the value is taken. `.advice` says what would change the answer; for a rule of a shipped pack it
# is the rule's own @advice. English, French and German are equal in rank: whoever changes one changes all three.

## Policy: sovereignty

sov-001 = The treaty is not in force at this time, so no job may run under it.
    .advice = Wait for the treaty to begin, or have its members sign one that is in force.
sov-002 = The job's home or the site's operator is not a member of the treaty.
    .with-facts = { $treaty-home_is_member ->
        [false] The job's home, { $home-member }, is not a member of the treaty.
       *[other] The site's member, { $site-member }, is not a member of the treaty.
    }
    .advice = Submit at a member of the treaty and choose a member's site; a new member joins by a treaty that all sign.
sov-003 = Protected data may be processed only at a site of its own nation that its own member operates.
    .with-facts = Dataset { $data-id } is { $data-class } and belongs to { $data-origin }, so it may not be processed at site { $site-id } (jurisdiction { $site-jurisdiction }, member { $site-member }).
    .advice = Choose a site of the data's own nation, operated by its own member. No visa and no transfer ground changes this.
sov-004 = The site's operator also answers to the law of another country, which could order it to hand over the data.
    .with-facts = Dataset { $data-id } (class { $data-class }) may not be processed at site { $site-id }: its operator, { $site-operator }, also answers to the law of another country ({ $site-exposed_to }), which could order it to hand over the data.
    .advice = Choose a site whose operator answers only to the law of the place, or process open or internal data there.
sov-005 = The site lies outside of the places where the dataset's record allows it to be processed.
    .with-facts = Dataset { $data-id } may be processed only in { $data-residency }, and site { $site-id } lies in { $site-jurisdiction }.
    .advice = Choose a site within the dataset's residency, or ask the dataset's member to widen it in a new record.
sov-006 = A job with personal, special or protected data may not have a network.
    .with-facts = The job asks for a network, and a job with data of class { $job-class } may not have one.
    .advice = Ask for no network and bring what the job needs as inputs; open and internal data may have a network.
sov-007 = The other member has not cosigned this node's log in time, so no job crosses the border for now.
    .advice = Wait until the other member has cosigned the log again; jobs at home go on meanwhile.
sov-008 = The project is not active, or its allocation does not cover the highest price that the job may come to.
    .with-facts = { $project-active ->
        [false] Project { $project-id } is not active.
       *[other] The allocation of project { $project-id } does not cover the highest price that the job may come to.
    }
    .advice = Use a project of yours whose allocation covers the job's highest price, ask for less time, or ask for a larger allocation.
sov-009 = The passport does not hold, or the home member does not vouch for your affiliation.
    .with-facts = { $visa-valid ->
        [false] The passport does not hold: it could not be verified with the treaty's keys, or it is not in time.
       *[other] No visa of { $home-member } in the passport vouches for your affiliation.
    }
    .advice = Get a passport of your home member with a visa of affiliation that is in time.
sov-010 = The output would cross a border without a treaty in force between the two members.
    .with-facts = The output would cross the border from { $site-member } to { $home-member } without a treaty in force between the two.
    .advice = The output stays at the host until a treaty between the two members is in force again.

## Policy: data transfer

dtr-001 = The dataset may not be used for the purpose that the job states.
    .with-facts = Dataset { $data-id } may not be used for the purpose “{ $job-purpose }” that the job states.
    .advice = State a purpose that the dataset's record allows, or ask the dataset's member to add yours.
dtr-002 = The passport has no visa that grants access to this dataset.
    .with-facts = Dataset { $data-id } is of class { $data-class }, and the passport has no visa that grants access to it.
    .advice = Ask the dataset's member for a visa that grants you this dataset; open data needs none.
dtr-003 = Personal data may leave its own area only on a legal ground, such as an adequacy decision or appropriate safeguards (GDPR Art. 45 and 46), and the treaty has none for this site.
    .with-facts = Dataset { $data-id } (class { $data-class }) may not go from { $data-origin } to site { $site-id } in { $site-jurisdiction }: the treaty has no ground for the transfer, such as an adequacy decision or appropriate safeguards (GDPR Art. 45 and 46), that covers an operator of the form “{ $site-operator_form }”.
    .advice = Choose a site in the data's own area, or one whose form of operator a ground of the treaty covers; else the members must agree on a ground.
dtr-004 = The output was made from personal or protected data, and the job's home lies outside of the area or the residency of that data.
    .with-facts = Output { $output-name } (class { $output-class }) was made from data of { $way_home-origins } that may not go to { $home-jurisdiction }, which lies outside of its area or its residency.
    .advice = Ask a data steward of the dataset's member to release the output, once no person can be recognised from it.
dtr-005 = The output was made from protected data, which does not leave its own nation.
    .with-facts = Output { $output-name } (class { $output-class }) was made from protected data of { $way_home-origins }, which does not leave its own nation for { $home-jurisdiction }.
    .advice = Ask a data steward of the nation that protects the data to declassify the output to open or internal.
dtr-006 = The output was made from internal data, and the job's home lies outside of the places where that data may be.
    .with-facts = Output { $output-name } (class { $output-class }) was made from data that may not be in { $home-jurisdiction }, and no data steward has released it.
    .advice = Ask a data steward of the dataset's member to release the output.

## Policy: releases

rel-001 = You may not release this output, because not every dataset of the job is in your care.
    .with-facts = You may not release output { $output-name } as a data steward of { $steward-member }, because not every dataset of the job is in your care.
    .advice = Only a data steward of the member that holds every dataset of the job may release its outputs.
rel-002 = The release gives no reason, so nobody could account for it later.
    .with-facts = The release of output { $output-name } gives no reason, so nobody could account for it later.
    .advice = Give the reason in words: what was checked, and why the output may leave.
rel-003 = The job is your own, and nobody releases the outputs of their own job.
    .with-facts = Output { $output-name } is of your own job, and nobody releases the outputs of their own job.
    .advice = Ask another data steward: nobody releases the outputs of a job of their own.
rel-004 = A protected output can be released only by declassifying it to open or internal.
    .with-facts = Output { $output-name } is { $output-class }: it can be released as open or internal, but not as { $release-new_class }.
    .advice = Release it as open or internal, or leave it where it is: no protected output crosses a border as such.
rel-005 = An output that stays personal or protected cannot be released to a place outside of the area or the residency of its data.
    .with-facts = Output { $output-name } cannot be released as { $release-new_class } to { $home-jurisdiction }, which lies outside of the area or the residency of its data (from { $way_home-origins }).
    .advice = Release it as open or internal once no person can be recognised from it; as personal data it stays in its area.

## Rules in general

adm-404 = No rule admits this request, and what no rule admits is refused.
    .advice = Ask the member that refused which of its rules should admit it, and whether the treaty's members want to add one.
pol-500 = A rule could not be evaluated, and what cannot be evaluated is refused.
    .with-facts = The rule { $rule } could not be evaluated, and what cannot be evaluated is refused.
    .advice = Tell the operators of the node that refused: a fact is missing or a rule is faulty. Trying again changes nothing before it is mended.
other-rule = The node of { $by } refused this by its rule { $rule } (source: { $source }).
    .advice = Ask the member whose rule it is what would change the answer.

## Offers

ofr-001 = The offer names a site, a member or a treaty that is not ours.
    .with-facts = The offer for site { $site-id } is not for us: it names another site, member or treaty.
    .advice = Send the offer to the node of the member whose site it names, under the treaty that both have loaded.
ofr-002 = The offer came after the end of its validity.
    .advice = Make a new offer; if it is late again, set the clocks of both nodes (NTP).
ofr-003 = The home node has withdrawn this offer.
    .advice = Submit the job again if it should still run.
ofr-004 = The highest price in the offer is not the one that follows from the treaty's tariff.
    .advice = Check that both nodes have loaded the same treaty, and make the offer anew from its tariff.

## Data

dat-001 = The record of a dataset is unknown here, or is not the one that its member signed.
    .with-facts = The record of dataset { $data-id } is unknown here, or is not the one that its member signed.
    .advice = Check the dataset's name; if it is right, ask its member to publish its signed record again.

## Placement and capacity

plc-001 = No site is left to choose from after the sites that you asked for or excluded.
    .advice = Allow more sites, or exclude fewer.
plc-002 = The researcher asked for other sites, or excluded this one.
    .with-facts = The researcher asked for other sites than { $site-id }, or excluded it.
    .advice = Ask for the job again with this site allowed.
cap-001 = The site could never run this job: it asks for more than the site has.
    .with-facts = Site { $site-id } could never run this job, which asks for more { $resource ->
        [cpu_cores] cores
        [memory_bytes] bytes of memory
        [gpus] accelerators
       *[other] { $resource }
    } than the site has: { $wanted } asked for, { $limit } there.
    .advice = Ask for less, or choose a larger site.
cap-002 = The site has no room for the job now, and its queue is full.
    .with-facts = Site { $site-id } has no room for the job now, and its queue is full: { $queued } of { $queued_max } places are taken.
    .advice = Submit the job again later, or allow other sites.
cap-003 = Other members' jobs already hold the share of the site that the treaty gives to guests.
    .with-facts = With this job, guests would hold more { $resource ->
        [cpu_cores] cores
        [memory_bytes] bytes of memory
        [gpus] accelerators
       *[other] { $resource }
    } of site { $site-id } than the treaty gives them: { $wanted } in all, { $limit } allowed.
    .advice = Submit the job again later, ask for less, or choose another site.
cap-004 = The site does not run the image that the job names.
    .advice = Name an image from the site's list, or ask the site's member to add yours.
cap-005 = The site has no account for the researcher.
    .advice = Ask the site’s operator for an account, or choose a site that gives you one.
cap-006 = The site does not allow an option that the job gives for its scheduler.
    .advice = Leave the option out, or ask the site’s operator to allow it.
cap-007 = The site cannot run a job of this form.
    .advice = Change what the job asks for as the facts say, or choose another site.
cap-008 = The project’s files at the site would take more disk than the site gives the project.
    .advice = Wait for running jobs to end, bring fewer or smaller files, or ask the site’s operator for more.
cap-009 = A guest that does not save its work would run longer at the site than the treaty lets it: the owner of the site may need the place, and all of its work would be lost.
    .advice = Let the job save its work and say so with [checkpoint] in the job file, or set a shorter time limit.
dep-001 = A job that this one waits for did not complete.
    .advice = Find out why it ended as it did, then submit both again.
dep-002 = A job that this one is to wait for is unknown, or belongs to another project.
    .advice = Name jobs of the same project, submitted at the same node before.

## Projects and credit

led-001 = The project's allocation does not cover the highest price that the job may come to.
    .advice = Ask for less time or fewer resources, choose a cheaper site, or ask for a larger allocation.
led-002 = There is no such project, or you are not a member of it.
    .advice = Name a project of yours, or ask its leader to add you.

## Passports and visas

vis-001 = The passport or a visa in it cannot be read.
    .advice = Fetch a new passport from your home member and send it unchanged.
vis-002 = The passport or a visa in it has expired.
    .advice = Fetch a new passport from your home member.
vis-003 = A visa was not issued by a member of the treaty with a key that the treaty names.
    .advice = Ask for the visa at a member of the treaty; if the member has changed its key, its members must sign a treaty with the new key.
vis-004 = A visa has conditions that this node does not understand, so it does not count.
    .advice = Ask the issuer for a visa without conditions.
vis-005 = A visa is not bound to the key with which the job was asked for.
    .advice = Fetch a new passport with the key that you use now.
vis-006 = The signature of the passport or of a visa in it is wrong.
    .advice = Fetch a new passport from your home member and send it unchanged.
vis-007 = A visa is not valid yet, or for longer than the 24 hours that the treaty allows.
    .advice = Fetch a new passport; if that does not help, ask the issuer to set its clock (NTP) and to issue visas for at most 24 hours.
vis-008 = A visa in the passport is about another person.
    .advice = Fetch a new passport of your own; visas cannot be passed on.

## Requests between nodes

sig-001 = The signed request lacks a header or a component that its signature must cover.
    .advice = Sign the request in the profile sta/fed/1 and send every header that it covers.
sig-002 = A header of the signature is not as RFC 9421 or the profile sta/fed/1 has it.
    .advice = Check that both nodes run compatible versions, and that no proxy between them changes headers.
sig-003 = The request is signed with a key that is not in the treaty.
    .advice = Check that both nodes have loaded the same treaty, and that the sender signs with its present key.
sig-004 = The signature of the request has expired.
    .advice = Sign the request anew; if that does not help, set the clocks of both nodes (NTP).
sig-005 = The clocks of the two nodes are too far apart to tell whether the request is fresh.
    .advice = Set the clocks of both nodes (NTP); at most 5 seconds between them are allowed.
sig-006 = The body of the request is not the one that was signed.
    .advice = Send the request again; if it happens again, look for a proxy between the nodes that changes the body.
sig-007 = The signature does not fit the request.
    .advice = Check that the sender signs with its own key of the treaty, and that no proxy between the nodes changes the request.
sig-008 = The request was signed for the node of another member.
    .advice = Send it to the URL that the treaty names for this member, and sign it for that URL.
sig-009 = The same signed request came before, so it is not carried out a second time.
    .advice = To repeat a request, sign it anew and keep its idempotency key.
idm-001 = The idempotency key was used before with another body.
    .advice = Use a new idempotency key for a new request, or repeat the first request unchanged.
doc-001 = A signed document does not hold: its signature, its type or its signer is wrong.
    .advice = Ask the sender for the document as its signer issued it, and check that both nodes have loaded the same treaty.
tre-001 = The two nodes have loaded different treaties.
    .advice = Load the same signed treaty at both nodes; its digest must be equal.

## Outputs

out-001 = The output stays where it was made until a data steward releases it.
    .advice = Ask a data steward of the member that holds the data to release the output.
out-002 = The job has no such output, or is not over yet.
    .advice = Check the output's name, or wait until the job has ended.
gat-001 = These are weights of a model, and they have not passed the gate for weights.
    .with-facts = { $output } holds weights of a model, and they have not passed the gate for weights ({ $verdict }).
    .advice = What the gate wants is in the reasons beside this one. When it is there, fetch the output again.
grd-001 = The bound on the probability of harm holds this for a person.
    .with-facts = The bound on the probability of harm is { $guardrail-bound }, the threshold { $guardrail-threshold }, and { $guardrail-used } of the budget of { $guardrail-budget } are used: this waits for a person.
    .advice = A person responsible for safety looks at it; labelled outcomes and evaluations lower the bound, and the budget is fresh in the next window.

## Holds and orders to stop

hld-001 = Another kind of person must decide on this hold.
    .with-facts = Hold { $hold } waits for: { $hold-awaits }.
    .advice = Ask somebody with that role at this node; sta hold list shows whom each hold waits for.
hld-002 = Nobody may release this hold.
    .with-facts = Hold { $hold } says { $verdict }, and nobody may set that aside.
    .advice = What an order stopped goes on when the order is lifted; what a rule denies does not go on.
stp-001 = The order to stop, or its lifting, does not hold.
    .with-facts = The order to stop, or its lifting, does not hold: { $problem }.
    .advice = Have enough of the people whom the treaty names sign it, and send it in its time.

## Incidents

inc-001 = Reports about the incident are still due by law, so it cannot be closed.
    .with-facts = Incident { $incident } cannot be closed: reports are still due by law, under clock { $clocks }.
    .advice = Tell the authorities and note it with sta incident notify. If nothing is due after all, somebody with the role legal closes it without the reports and says why.
inc-002 = The incident is not resolved, so it cannot be closed.
    .with-facts = Incident { $incident } is not resolved, so it cannot be closed.
    .advice = Note first since when the danger is over: sta incident resolve.
inc-003 = The incident is closed, and nothing can be added to it.
    .with-facts = Incident { $incident } is closed, and nothing can be added to it.
    .advice = Report a new incident and name this one in its summary.

## People and requests

aut-001 = You are not logged in, or your login is no longer valid.
    .advice = Log in and send the request again with your token.
aut-002 = You do not have the right that this request needs.
    .advice = Ask the operators of your node for the right, or ask somebody who has it.
req-001 = There is no such thing here, or it is not for you to see.
    .advice = Check the address and the identifier, and whether you are logged in as the right person.
req-002 = The request cannot be read.
    .advice = Correct the request as the details say, and send it again.
req-003 = The body of the request is larger than this node accepts.
    .advice = Send less at once; upload large files as inputs, in parts.
req-004 = It exists already with other content, or its present state does not allow this.
    .advice = Look at its present state, then decide whether the request is still needed.
req-005 = The range that was asked for does not lie within the file.
    .advice = Ask for the file's size first, then for a range within it.
req-006 = The node has more to do than it can take on now, or it is stopping.
    .advice = Try again later; nothing of this request was carried out.
req-007 = The node of the other member did not answer.
    .advice = Try again later; jobs at home go on meanwhile.
