package api

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
)

// csvHead names the columns of WriteCSV.
var csvHead = []string{"time", "kind", "account", "result", "recipients", "bytes", "seconds", "times", "client", "session", "reply", "explanation", "fix", "protocol", "ended_by", "bytes_down", "bytes_up"}

// WriteCSV writes events as comma-separated values (RFC 4180), with a line of column names and
// times in RFC 3339. A text that a spreadsheet would take for a formula begins with an apostrophe.
func WriteCSV(w io.Writer, list []Activity) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHead); err != nil {
		return err
	}
	for _, a := range list {
		explanation, fix := "", ""
		if a.Problem != nil {
			explanation, fix = a.Problem.What.String(), a.Problem.Remedy()
		}
		if err := out.Write([]string{
			a.Time.Format(time.RFC3339), noFormula(string(a.Kind)), noFormula(a.Account), noFormula(string(a.Result)),
			strconv.Itoa(a.Recipients), strconv.FormatInt(a.Bytes, 10), strconv.FormatFloat(a.Took.Seconds(), 'f', 3, 64), strconv.Itoa(max(a.Times, 1)),
			noFormula(a.Client), noFormula(a.Session), noFormula(a.Reply), noFormula(explanation), noFormula(fix),
			noFormula(string(a.Spoke())), noFormula(string(a.Ended)), strconv.FormatInt(a.Down, 10), strconv.FormatInt(a.Up, 10),
		}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// noFormula puts an apostrophe before a text that a spreadsheet would run: providers and mail
// programs choose some of these words. The characters are those of OWASP's "CSV Injection", with
// white space skipped, as spreadsheets skip it.
func noFormula(s string) string {
	if strings.ContainsAny(s, "\t\r\n") {
		s = strings.NewReplacer("\t", " ", "\r", " ", "\n", " ").Replace(s)
	}
	if start := strings.TrimLeft(s, " \u00a0"); start != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(start)[0]) {
		return "'" + s
	}
	return s
}
