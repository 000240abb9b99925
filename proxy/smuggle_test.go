package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// endings are the published variants of an end of data that some servers accept and RFC 5321 does not
// (SMTP smuggling, CVE-2023-51764 and others).
var endings = []string{
	"\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r.\n", "\n.\r", "\r\n.\n", "\r\n.\r", "\r\n.\r\r\n",
	"\n\n.\n", "\n\n.\r\n", "\r\r.\r\r\n", "\n.\n\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\x00\n.\r\n", "\r\n.\r\x00\n", "\n\r.\n\r", "\r\r\n.\r\r\n",
}

// chunkEndings are ends of data that do not end a chunk, since chunks are counted: a provider that has
// only DATA must not see them bare.
var chunkEndings = []string{"\r\n.\r\n", "\r\n..\r\n", "\r\n.\r\n.\r\n"}

// TestSmuggling sends each variant, followed by another message's dialogue, in a body by DATA, by BDAT,
// and by BDAT with a chunk for each byte of the ending, to providers that would fall for it. It must
// arrive as one message or be refused.
func TestSmuggling(t *testing.T) {
	const second = "MAIL FROM:<evil@corp.test>\r\nRCPT TO:<victim@there.test>\r\nDATA\r\nsmuggled\r\n"
	for _, chunking := range []bool{true, false} {
		for _, lax := range []bool{true, false} {
			r := newRig(t, rigOptions{provider: providertest.Options{Lax: lax, NoChunking: !chunking}})
			for i, ending := range slices.Concat(endings, chunkEndings) {
				body := "first" + ending + second
				for _, by := range []string{"BDAT", "chunks", "DATA"} {
					if by == "DATA" && i >= len(endings) {
						continue // there it is the true end
					}
					t.Run(fmt.Sprintf("%q/%s/provider chunking %v lax %v", ending, by, chunking, lax), func(t *testing.T) {
						before := len(r.provider.Messages())
						p := r.login(me)
						p.t = t
						p.do("MAIL FROM:<"+me+">", "250")
						p.do("RCPT TO:<you@there.test>", "250")
						switch by {
						case "BDAT":
							p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body))
						case "chunks":
							p.send("BDAT 5\r\nfirst")
							p.reply()
							for _, b := range []byte(ending) {
								p.send("BDAT 1\r\n" + string(b))
								p.reply()
							}
							p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(second), second))
						case "DATA":
							p.do("DATA", "354")
							p.send(body + ".\r\n")
						}
						got := p.reply()
						p.do("NOOP", "250 2.0.0") // in step: nothing of the body was taken for a command
						m := r.provider.Messages()[before:]
						switch {
						case strings.HasPrefix(got, "250") && len(m) == 1 && m[0].From == me && len(m[0].Rcpts) == 1 && string(m[0].Body) == unstuffed(by, body):
						case strings.HasPrefix(got, "5") && len(m) == 0:
						default:
							t.Errorf("answered %q; %d messages arrived", got, len(m))
						}
					})
				}
			}
		}
	}
}

// unstuffed is a body as it is meant: DATA removes a dot from the start of each line.
func unstuffed(by, body string) string {
	if by == "DATA" {
		return strings.ReplaceAll(body, "\r\n.", "\r\n")
	}
	return body
}
