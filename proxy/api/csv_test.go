package api

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"
)

func TestWriteCSV(t *testing.T) {
	at := time.Date(2026, 3, 12, 11, 53, 0, 0, time.UTC)
	var b strings.Builder
	if err := WriteCSV(&b, []Activity{
		{Kind: Message, Time: at, Session: "7x", Account: "ada@corp.example", Recipients: 3, Bytes: 1200, Took: 1500 * time.Millisecond, Result: Sent, Reply: "250 2.0.0 OK, queued"},
		{Kind: Login, Time: at, Account: "=1+1@x.test", Client: "::1", Times: 4, Result: Refused, Reply: "535 \"no\"",
			Problem: &Problem{What: Say("{{.Account}} is not an account.", "Account", "=1+1@x.test"), Cure: Say("Enter another.")}},
		{Kind: Reading, Time: at, Session: "8y", Protocol: IMAP, Account: "ada@corp.example", Took: time.Minute, Reply: "* BYE", Ended: ByProvider, Down: 5, Up: 2},
	}); err != nil {
		t.Fatal(err)
	}
	want := "time,kind,account,result,recipients,bytes,seconds,times,client,session,reply,explanation,fix,protocol,ended_by,bytes_down,bytes_up\r\n" +
		"2026-03-12T11:53:00Z,message,ada@corp.example,sent,3,1200,1.500,1,,7x,\"250 2.0.0 OK, queued\",,,smtp,,0,0\r\n" +
		"2026-03-12T11:53:00Z,login,'=1+1@x.test,refused,0,0,0.000,4,::1,,\"535 \"\"no\"\"\",'=1+1@x.test is not an account.,enter another,smtp,,0,0\r\n" +
		"2026-03-12T11:53:00Z,reading,ada@corp.example,,0,0,60.000,1,,8y,* BYE,,,imap,provider,5,2\r\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// A spreadsheet runs a cell that begins like a formula, and what stands in a reply is the
// provider's choice.
func TestCSVInjection(t *testing.T) {
	for _, evil := range []string{"=cmd|'/C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n@x", " =1", "\u00a0=1", "＝1", "=1\",=2,\""} {
		var b strings.Builder
		if err := WriteCSV(&b, []Activity{{Account: evil, Session: evil, Reply: evil, Client: evil, Kind: Kind(evil), Result: Result(evil)}}); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%q: %v, %v", evil, rows, err)
		}
		for i, cell := range rows[1] {
			if strings.ContainsAny(cell, "=+@＝") && !strings.HasPrefix(cell, "'") && i > 0 || strings.HasPrefix(cell, "-") {
				t.Errorf("%q became %q in column %s", evil, cell, rows[0][i])
			}
		}
	}
}
