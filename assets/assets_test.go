package assets

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metrics are the names that a running instance serves at /metrics. The
// dashboard has to show all of them, and neither the dashboard nor the rules may
// use any other.
var metrics = []string{
	"waxseal_smtp_connections_active",
	"waxseal_concurrent_messages",
	"waxseal_upstream_connections",
	"waxseal_messages_total",
	"waxseal_message_seconds",
	"waxseal_token_refreshes_total",
	"waxseal_breaker_state",
	"waxseal_breaker_transitions_total",
	"waxseal_auth_failures_total",
	"waxseal_read_connections_active",
	"waxseal_read_sessions_active",
	"waxseal_read_spares",
	"waxseal_read_logins_total",
	"waxseal_read_sessions_ended_total",
	"waxseal_read_bytes_total",
	"waxseal_sending_used",
	"waxseal_sending_limit",
	"waxseal_messages_waiting",
	"waxseal_messages_delayed_total",
	"waxseal_messages_over_limit_total",
	"waxseal_instance_info",
	"waxseal_store_up",
	"waxseal_store_seconds",
	"waxseal_claims_total",
	"waxseal_fleet_instances",
}

var metricName = regexp.MustCompile(`\bwaxseal_[a-z_]+`)

// used returns the metrics that a text names, sorted and each once, without the
// suffixes that Prometheus adds to the parts of a histogram.
func used(text string) []string {
	names := metricName.FindAllString(text, -1)
	for i, name := range names {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		names[i] = name
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// panel is the part of a Grafana panel that these tests look at.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr string }
}

func TestDashboardShowsEveryMetric(t *testing.T) {
	var dashboard struct {
		UID, Title string
		Panels     []panel
	}
	if err := json.Unmarshal(Dashboard, &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || dashboard.Title == "" {
		t.Error("the dashboard needs a uid and a title")
	}
	var queries strings.Builder
	for _, p := range dashboard.Panels {
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("panel %q has no query", p.Title)
		}
		for _, target := range p.Targets {
			fmt.Fprintln(&queries, target.Expr)
		}
	}
	shown := used(queries.String())
	for _, name := range metrics {
		if !slices.Contains(shown, name) {
			t.Errorf("no panel shows %s", name)
		}
	}
	for _, name := range used(string(Dashboard)) {
		if !slices.Contains(metrics, name) {
			t.Errorf("the dashboard uses %s, which does not exist", name)
		}
	}
}

func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(Dashboard, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]string{}
	cells := map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("panels %q and %q have the same id", other, p.Title)
		}
		ids[p.ID] = p.Title
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q is wider than the page", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := cells[[2]int{x, y}]; ok {
					t.Fatalf("panels %q and %q overlap", other, p.Title)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

func TestAlertsUseKnownMetrics(t *testing.T) {
	names := used(string(Alerts))
	if len(names) == 0 {
		t.Fatal("the rules use no metric")
	}
	for _, name := range names {
		if !slices.Contains(metrics, name) {
			t.Errorf("a rule uses %s, which does not exist", name)
		}
	}
}

func TestEveryAlertIsTested(t *testing.T) {
	tests, err := os.ReadFile("testdata/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllSubmatch(Alerts, -1)
	if len(alerts) == 0 {
		t.Fatal("the rules contain no alert")
	}
	for _, alert := range alerts {
		if !regexp.MustCompile(`\b` + string(alert[1]) + `\b`).Match(tests) {
			t.Errorf("testdata/alerts_test.yml does not test %s", alert[1])
		}
	}
}

func TestIcons(t *testing.T) {
	for _, size := range []int{16, 32, 48, 64, 128, 256, 512} {
		name := fmt.Sprintf("icon/waxseal-%d.png", size)
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b := img.Bounds(); b.Dx() != size || b.Dy() != size {
			t.Errorf("%s is %d x %d pixels", name, b.Dx(), b.Dy())
		}
		if _, _, _, alpha := img.At(0, 0).RGBA(); alpha != 0 {
			t.Errorf("%s: the corner is not transparent", name)
		}
		if _, _, _, alpha := img.At(size/2, size/2).RGBA(); alpha != 0xffff {
			t.Errorf("%s: the middle is not opaque", name)
		}
		if size == 256 && !bytes.Equal(data, Icon) {
			t.Errorf("Icon differs from %s", name)
		}
	}
	d := xml.NewDecoder(bytes.NewReader(IconSVG))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("icon/waxseal.svg: %v", err)
		}
	}
}

// entries reads the key=value lines of a unit or desktop file by section. Where a
// key occurs twice, the last value counts.
func entries(t *testing.T, text []byte) map[string]map[string]string {
	t.Helper()
	sections := map[string]map[string]string{}
	section := ""
	for n, line := range strings.Split(string(text), "\n") {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			sections[section] = map[string]string{}
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Fatalf("line %d is neither a section nor key=value: %s", n+1, line)
			}
			sections[section][key] = value
		}
	}
	return sections
}

func TestUnitAndDesktopEntry(t *testing.T) {
	unit, desktop := entries(t, SystemdUnit), entries(t, DesktopEntry)
	for _, want := range []struct {
		file       map[string]map[string]string
		section    string
		key, value string
	}{
		{unit, "Service", "ExecStart", "waxseal serve"},
		{unit, "Service", "Restart", "on-failure"},
		{unit, "Service", "NoNewPrivileges", "yes"},
		{unit, "Service", "LimitCORE", "1"},
		{unit, "Service", "UMask", "0077"},
		{unit, "Install", "WantedBy", "default.target"},
		{desktop, "Desktop Entry", "Type", "Application"},
		{desktop, "Desktop Entry", "Exec", "waxseal"},
		{desktop, "Desktop Entry", "Icon", "io.github.waxseal.waxseal"},
	} {
		if got := want.file[want.section][want.key]; got != want.value {
			t.Errorf("[%s] %s=%s, want %s", want.section, want.key, got, want.value)
		}
	}
}
