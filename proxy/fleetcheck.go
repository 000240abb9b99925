package proxy

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// maxSkew is how far two machines' clocks may be apart. The machine that got a token notes the time by its own
// clock, and the others go by that. They renew it minutes before its end, which leaves some room.
const maxSkew = 30 * time.Second

// checkFleet checks what the machines that share the accounts must agree on. That records can be written and read
// is the check of the keystore.
func (s *Server) checkFleet(ctx context.Context) (finding, error) {
	problem := func(what, cure string, pairs ...string) (finding, error) {
		return finding{}, &api.Problem{Lasting: true, What: api.Say(what, pairs...), Cure: api.Say(cure, pairs...)}
	}
	if err := s.shared.Err(); err != nil { // it may be full, and still be read
		return finding{}, err
	}
	if _, err := s.shared.Read(ctx, accountPrefix); err != nil { // there is none, which etcd has to say
		return finding{}, err
	}
	if s.shared.Doubled() {
		return problem("Another machine has the same name: {{.Machine}}.", "Give each machine its own name with WAXSEAL_INSTANCE.", "Machine", s.shared.Instance())
	}
	var names, versions []string
	for _, i := range s.shared.Instances() {
		if i.Gone {
			continue
		}
		if i.Skew.Abs() > maxSkew && i.Name != s.shared.Instance() {
			return problem("The clocks of {{.Machine}} and of this machine are {{.Seconds}} s apart.", "Let all machines take the time from an NTP server.",
				"Machine", i.Name, "Seconds", strconv.Itoa(int(i.Skew.Abs().Seconds())))
		}
		names = append(names, i.Name+" "+i.Version)
		versions = append(versions, i.Version)
	}
	if damaged := s.shared.Damaged(); len(damaged) > 0 {
		return problem("Some records in etcd can’t be decrypted ({{.Count}}), such as {{.Record}}.",
			"If another program writes below the prefix in [etcd], give Waxseal a prefix of its own. If the record is an account’s, sign in again.",
			"Count", strconv.Itoa(len(damaged)), "Record", strconv.Quote(damaged[0]))
	}
	slices.Sort(versions)
	text := strings.Join(names, ", ")
	if len(slices.Compact(versions)) > 1 {
		return found("Works. Not all machines have the same version: {{.Machines}}", "Machines", text), nil
	}
	return found("Works. Machines: {{.Machines}}", "Machines", text), nil
}
