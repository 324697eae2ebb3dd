package store

import (
	"strconv"

	"kisibridge/internal/access"
)

// Every key of the bridge. What stands in braces is the hash tag: keys that
// one script touches share it, and so live in one slot of a Redis Cluster.
//
//	key                            type    holds                                             written by            goes
//	kb:{integrations}              hash    id → integration (JSON)                           a person, the engine  when deleted
//	kb:{connections}:stored        hash    id → connection (JSON), its key sealed            a person              when deleted
//	kb:{connections}:rev           string  counts changes of the above                       Store.swapIn          never
//	kb:{reply:CALLER:KEY}          hash    what was asked under an Idempotency-Key, answer   the API               after a day
//	kb:{run:ID}                    string  a run that somebody asked for (JSON)              the API               after a week
//	kb:{consent:STATE}             string  who began to connect a tenant                     a person              once it is used, or after ten minutes
//	kb:{integrations}:nested       hash    group → "REV INNER …", the groups within it       a pull                with the last transitive integration
//	kb:{integrations}:rev          string  counts changes of the two above                   Store.swap            never
//	kb:{groups}                    set     groups whose changes matter, inner ones too       a pull                with the group's last integration
//	kb:{profiles}                  hash    tenant → delta link of its people                 Profiles              never
//	kb:{events}                    stream  the audit trail, the newest 100,000 (JSON)        the engine            when newer ones come
//	kb:{hooks}                     hash    Kisi connection → its event webhook (JSON)        a person              when it is dropped
//	kb:{seen:KISI:DIGEST}          string  this very event came before                       the webhook           after a day
//	kb:{subscriptions}             hash    group → subscription (JSON)                       the keeper            with the group's last integration
//	kb:{connections}               hash    Kisi connection → organization id                 app                   never
//	kb:{m:GROUP}:state             hash    link, rev, edition, name, pulled, deleted, others SaveMembership        with the group's last integration
//	kb:{m:GROUP}:members           hash    member → u (person), g (group) or o (other)       SaveMembership        with the group's last integration
//	kb:{m:GROUP}:inner             set     groups that it holds directly                     SaveMembership        with the group's last integration
//	kb:{m:GROUP}:changed           zset    person → revision in which they changed           SaveMembership        when everybody concerned is woken
//	kb:{p:TENANT}:people           hash    person → "TIME details (JSON)"                    a pull                never
//	kb:{p:TENANT}:touched          zset    person → when somebody unknown changed            Profiles              after an hour
//	kb:{t:TARGET}:ledger           hash    person → entry (see entry.go)                     an apply              never: it is the proof
//	kb:{t:TARGET}:count            string  how many people hold a grant of ours              SaveGrant             never
//	kb:{t:TARGET}:open             zset    person → when an intent was written               SaveGrant             when it is settled
//	kb:{t:TARGET}:verdicts         hash    person → "STATE TIME WHO"; "" → "REV SINCE WHY"   a pass, a person      when they are settled
//	kb:{t:TARGET}:decided          string  fingerprint of what the last decision rests on    a pass                when anything is done, or after hours
//	kb:{t:TARGET}:trouble          hash    person → last error (JSON)                        an apply that failed  when one goes well
//	kb:{t:TARGET}:drift            string  what the last look at Kisi found (JSON)           a look                overwritten
//	kb:{t:TARGET}:listed           set     Kisi users who had access when it was listed      a roster              after an hour
//	kb:{k:KISI}:roster             hash    email → Kisi user                                 a roster, an apply    after an hour
//	kb:{k:KISI}:roster:new         hash    the same, while it is being written               a roster              renamed to the above
//	kb:{k:KISI}:users              hash    Kisi user → people whom it stands for             an apply              never
//	kb:{k:KISI}:wrote:TYPE:ID      string  target of a row, or user, that we wrote           an apply              after a minute
//	kb:{l:KISI}:calls              zset    call → when it was let go, microseconds           the limiter           after two windows
//	kb:{l:KISI}:waiting            zset    waiter → its urgency                              the limiter           when it goes
//	kb:{l:KISI}:seen               zset    waiter → when it last asked                       the limiter           when it goes, or after 3 s
//	kb:{l:KISI}:next               string  when the next paced call is due, microseconds     the limiter           after a minute
//	kb:{l:KISI}:pause, :slow       string  Kisi said 429: nobody calls; by what all go slower the limiter          by themselves
//	kb:{i:INTEGRATION}:runs        list    the newest 200 runs (JSON)                        the engine            with the integration
//	kb:{keys}                      hash    digest of a secret → API key (JSON)               an admin              when it is deleted
//	kb:{keys}:names                hash    name, in small letters → digest                   an admin              with the API key
//	kb:{keys}:used                 hash    digest → when it was used last, milliseconds      Gate.Identify         with the API key
//	kb:{session:DIGEST}            string  who signed in with a browser (JSON)               Gate                  after 12 h idle, 24 h, or sign-out
//	kb:{signin:DIGEST}             string  a sign-in that was sent to Entra (JSON)           Gate.Begin            when it comes back, or after 10 min
//	kb:{tally:WHAT}                string  requests of a caller, tries of an address         Store.Tally           after a minute
//	kb:{wakes}:watch               zset    work → when to look whether it still lives        Wake … Tend           when it is done
//	kb:{wakes}:seq                 string  counts wakes                                      Wake … Tend           never
//	kb:{wakes}:work                hash    work that waits, runs, backs off or rests          Wake … Tend           when it is done
//	kb:{wakes}:alive:PROCESS       string  the process lives                                 Tend                  after 5 s
const (
	integrationsKey  = "kb:{integrations}"
	subscriptionsKey = "kb:{subscriptions}"
	connectionsKey   = "kb:{connections}"
	storedKey        = "kb:{connections}:stored"
	storedRevKey     = "kb:{connections}:rev"
	nestedKey        = "kb:{integrations}:nested"
	rulesRevKey      = "kb:{integrations}:rev"
	groupsKey        = "kb:{groups}"
	profilesKey      = "kb:{profiles}"
	eventsKey        = "kb:{events}"
	hooksKey         = "kb:{hooks}"

	credentialsKey     = "kb:{keys}"
	credentialNamesKey = "kb:{keys}:names"
	credentialUsesKey  = "kb:{keys}:used"

	watchKey    = "kb:{wakes}:watch"
	seqKey      = "kb:{wakes}:seq"
	workKey     = "kb:{wakes}:work"
	alivePrefix = "kb:{wakes}:alive:"
)

// wakeKeys are what every script about wakes is told.
func wakeKeys(more ...string) []string { return append([]string{watchKey, seqKey, workKey}, more...) }

func replyKey(caller, key string) string { return "kb:{reply:" + caller + ":" + key + "}" }
func runKey(id string) string            { return "kb:{run:" + id + "}" }
func consentKey(state string) string     { return "kb:{consent:" + state + "}" }
func stateKey(g access.Group) string     { return "kb:{m:" + g.String() + "}:state" }
func membersKey(g access.Group) string   { return "kb:{m:" + g.String() + "}:members" }
func changedKey(g access.Group) string   { return "kb:{m:" + g.String() + "}:changed" }
func innerKey(g access.Group) string     { return "kb:{m:" + g.String() + "}:inner" }
func touchedKey(tenant string) string    { return "kb:{p:" + tenant + "}:touched" }
func peopleKey(tenant string) string     { return "kb:{p:" + tenant + "}:people" }

func ledgerKey(t access.Target) string   { return "kb:{t:" + t.String() + "}:ledger" }
func countKey(t access.Target) string    { return "kb:{t:" + t.String() + "}:count" }
func openKey(t access.Target) string     { return "kb:{t:" + t.String() + "}:open" }
func verdictsKey(t access.Target) string { return "kb:{t:" + t.String() + "}:verdicts" }
func decidedKey(t access.Target) string  { return "kb:{t:" + t.String() + "}:decided" }
func troubleKey(t access.Target) string  { return "kb:{t:" + t.String() + "}:trouble" }
func driftKey(t access.Target) string    { return "kb:{t:" + t.String() + "}:drift" }
func listedKey(t access.Target) string   { return "kb:{t:" + t.String() + "}:listed" }

func rosterKey(kisi string) string       { return "kb:{k:" + kisi + "}:roster" }
func usersKey(kisi string) string        { return "kb:{k:" + kisi + "}:users" }
func seenKey(kisi, digest string) string { return "kb:{seen:" + kisi + ":" + digest + "}" }
func wroteKey(t access.Target, id int) string {
	return "kb:{k:" + t.Connection + "}:wrote:" + t.Type + ":" + strconv.Itoa(id)
}
func rosterNewKey(kisi string) string   { return "kb:{k:" + kisi + "}:roster:new" }
func limitKey(kisi, part string) string { return "kb:{l:" + kisi + "}:" + part }
func runsKey(integration string) string { return "kb:{i:" + integration + "}:runs" }

func sessionKey(digest string) string { return "kb:{session:" + digest + "}" }
func signInKey(digest string) string  { return "kb:{signin:" + digest + "}" }
func tallyKey(what string) string     { return "kb:{tally:" + what + "}" }
