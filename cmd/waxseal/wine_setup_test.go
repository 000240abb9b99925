//go:build linux

package main_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestWindowsSetup installs the program with its installer, updates it while a message is in progress,
// and uninstalls it in both ways. Installers with the headless program are built for it; WAXSEAL_SETUP
// is an installer to use in their place.
func TestWindowsSetup(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	first, second := s.build("v0.8.0"), s.build("v0.9.0")

	first.install("/S", "/AUTOSTART")
	s.wantInstalled(first.version)
	if value := s.registry(`HKCU\Software\Microsoft\Windows\CurrentVersion\Run`); !strings.Contains(value, `"`+s.windows+`" --hidden`) {
		t.Errorf("the programs that start at login are %q", value)
	}

	address := s.serve()
	c := dialSMTP(t, address)
	c.login(sender)
	rest := c.half()
	updated := second.start("/S")
	waitRefused(t, address)
	c.wantQueued(rest)
	updated.wantExit(t, 0)
	s.wantInstalled(second.version)
	address = s.wantRunning(second.version)
	c = dialSMTP(t, address)
	c.login(sender)
	c.wantQueued(c.half())
	if n := len(s.provider.Messages()); n != 2 {
		t.Errorf("%d messages have arrived, want 2", n)
	}
	if value := s.registry(`HKCU\Software\Microsoft\Windows\CurrentVersion\Run`); !strings.Contains(value, "--hidden") {
		t.Errorf("after the update, the programs that start at login are %q", value)
	}

	s.uninstall()
	waitRefused(t, address)
	if _, err := os.Stat(filepath.Join(s.folder, "config.toml")); err != nil {
		t.Errorf("after uninstalling: %v", err)
	}
	if !strings.Contains(s.credentials(), "waxseal:") {
		t.Errorf("after uninstalling, the passwords are %q", s.credentials())
	}

	second.install("/S")
	if value := s.registry(`HKCU\Software\Microsoft\Windows\CurrentVersion\Run`); strings.Contains(value, "Waxseal") {
		t.Errorf("the programs that start at login are %q", value)
	}
	config := filepath.Join(s.folder, "config.toml") // now without the account, whose secrets go too
	writeFile(t, config, configFor(s.provider, ""))
	s.uninstall("/REMOVE_ACCOUNTS")
	if _, err := os.Stat(s.folder); err == nil {
		t.Error("the configuration is still there")
	}
	if left := s.credentials(); strings.Contains(left, "waxseal:") {
		t.Errorf("the Credential Manager still has %q", left)
	}
	s.clears()
}

// clears runs keystore's test of erasing, which asks for a list of secrets: in a prefix without
// services, wine cannot give one.
func (s *setup) clears() {
	s.t.Helper()
	w := s.within(s.t)
	w.program = buildWindowsTest(s.t, w, "keystore")
	w.dir = "../../keystore"
	if said := w.run("-test.v", "-test.run=^TestClear$"); !strings.Contains(said, "--- PASS: TestClear") {
		s.t.Errorf("erasing was not tested:\n%s", said)
	}
}

// setup is a full Windows, with a desktop's folders and its registry.
type setup struct {
	*wine
	provider *providertest.Provider
	windows  string // the installed program as Windows names it
	home     string // AppData
	folder   string // of the configuration
}

func newSetup(t *testing.T) *setup {
	t.Helper()
	findTool(t, "nsis", "makensis")
	w, shim := emptyWine(t)
	screen := os.Getenv("WAXSEAL_SETUP") != "" // which the program with the icon needs
	if screen {
		w.env = append(w.env, "DISPLAY="+os.Getenv("DISPLAY"), "XAUTHORITY="+os.Getenv("XAUTHORITY"))
	}
	if said, err := w.execute("wineboot", "-i"); err != nil {
		t.Fatalf("wineboot: %v\n%s", err, said)
	}
	if err := os.Rename(shim, filepath.Join(w.drive(), "windows", "system32", filepath.Base(shim))); err != nil {
		t.Fatal(err)
	}
	s := &setup{wine: w}
	if !screen {
		s.wantRun("reg", "add", `HKCU\Software\Wine\Drivers`, "/v", "Graphics", "/d", "null", "/f")
	}
	homes, err := filepath.Glob(filepath.Join(w.drive(), "users", "*", "AppData", "Roaming"))
	if err != nil || len(homes) != 1 {
		t.Fatalf("folders of users: %q, %v", homes, err)
	}
	s.home = filepath.Dir(homes[0])
	s.folder = filepath.Join(homes[0], "waxseal")
	w.program = filepath.Join(s.home, "Local", "Programs", "Waxseal", "Waxseal.exe")
	inside, err := filepath.Rel(w.drive(), w.program)
	if err != nil {
		t.Fatal(err)
	}
	s.windows = `C:\` + strings.ReplaceAll(inside, "/", `\`)
	return s
}

// wantRun runs one of wine's own programs.
func (s *setup) wantRun(program string, args ...string) string {
	s.t.Helper()
	said, err := s.execute(program, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, said)
	}
	return said
}

// registry is the content of a key, as `reg query` shows it; "" if there is none.
func (s *setup) registry(key string) string {
	s.t.Helper()
	said, err := s.execute("reg", "query", key, "/s")
	if err != nil {
		return ""
	}
	return said
}

// credentials is where wine keeps what the Credential Manager has.
func (s *setup) credentials() string {
	s.t.Helper()
	return s.registry(`HKCU\Software\Wine\Credential Manager`)
}

// installer is one version's.
type installer struct {
	s             *setup
	file, version string
}

// build makes the installer of a version.
func (s *setup) build(version string) installer {
	s.t.Helper()
	dir := filepath.Join(filepath.Dir(s.tool), version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if file := os.Getenv("WAXSEAL_SETUP"); file != "" {
		wantResource(s.t, "", file)
		return installer{s, file, os.Getenv("WAXSEAL_VERSION")}
	}
	program := filepath.Join(dir, "waxseal.exe")
	buildWindows(s.t, program, "-ldflags", "-s -w -X main.version="+version)
	make := exec.CommandContext(s.t.Context(), ".ci/windows", version, dir)
	make.Dir = "../.."
	make.Env = append(os.Environ(), "PROGRAM="+program, "NOTICES=LICENSE", "COMPRESSOR=zlib", "SOURCE_DATE_EPOCH=1700000000")
	if out, err := make.CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	return installer{s, filepath.Join(dir, "waxseal-"+version+"-windows-amd64-setup.exe"), version}
}

func (i installer) install(args ...string) {
	i.s.t.Helper()
	i.s.wantRun(i.file, args...)
}

func (i installer) start(args ...string) *instance {
	i.s.t.Helper()
	w := i.s.within(i.s.t)
	w.program = i.file
	return w.start(args...)
}

// wantInstalled checks what the installer leaves.
func (s *setup) wantInstalled(version string) {
	s.t.Helper()
	if said := s.run("version"); !strings.Contains(said, version) {
		s.t.Errorf("the installed program is %q, want version %s", said, version)
	}
	for _, file := range []string{
		filepath.Join(s.home, "Roaming", "Microsoft", "Windows", "Start Menu", "Programs", "Waxseal.lnk"),
		filepath.Join(filepath.Dir(s.program), "LICENSE.txt"),
		filepath.Join(filepath.Dir(s.program), "THIRD-PARTY-NOTICES.txt"),
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			s.t.Error(err)
		}
		if filepath.Ext(file) == ".lnk" && !bytes.Contains(data, wide("Waxseal.exe")) {
			s.t.Errorf("%s does not lead to the program", file)
		}
	}
	key := s.registry(`HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\Waxseal`)
	for _, value := range []string{"DisplayName", "Publisher", "DisplayIcon", "EstimatedSize", "UninstallString", strings.TrimPrefix(version, "v")} {
		if !strings.Contains(key, value) {
			s.t.Errorf("Apps & Features has no %s in\n%s", value, key)
		}
	}
	if leftover, _ := filepath.Glob(filepath.Join(filepath.Dir(s.program), "*.new.exe")); leftover != nil {
		s.t.Errorf("the installer left %q", leftover)
	}
}

// serve starts the installed program with an account, and returns where it accepts mail. Its passwords
// are in the Credential Manager.
func (s *setup) serve() (address string) {
	t := s.t
	t.Helper()
	var err error
	if s.provider, err = providertest.Start(providertest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.provider.Close() })
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	ca, err := s.provider.WriteCA(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(s.folder, "config.toml")
	writeFile(t, config, configFor(s.provider, "Z:"+ca))
	accounts := filepath.Join(s.folder, "accounts.json")
	writeFile(t, accounts, importFor(t, s.provider, sender))
	t.Cleanup(func() { // the program with the icon logs there
		if log, err := os.ReadFile(filepath.Join(s.home, "Local", "waxseal", "waxseal.log")); err == nil && t.Failed() {
			t.Logf("the log:\n%s", log)
		}
	})
	i := s.start("--hidden") // as at login
	address, _ = i.status(t, "Z:"+config)
	s.run("account", "import", "Z:"+accounts)
	return address
}

// wantRunning waits until an instance of a version runs that this test did not start, and returns where
// it accepts mail.
func (s *setup) wantRunning(version string) (address string) {
	s.t.Helper()
	i := &instance{w: s.wine, exited: make(chan struct{})}
	address, _ = i.status(s.t, "Z:"+filepath.Join(s.folder, "config.toml"))
	if said := s.run("status"); !strings.Contains(said, "version "+version) {
		s.t.Errorf("what runs after the update says %q, want version %s", said, version)
	}
	return address
}

// uninstall runs the uninstaller. It goes on in a copy of itself, and this waits until that has ended.
func (s *setup) uninstall(args ...string) {
	s.t.Helper()
	folder := filepath.Dir(s.program)
	s.wantRun(filepath.Join(folder, "uninstall.exe"), append([]string{"/S"}, args...)...)
	const key = `HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\Waxseal`
	for deadline := time.Now().Add(2 * time.Minute); s.registry(key) != ""; {
		if time.Now().After(deadline) {
			s.t.Fatalf("it is still installed:\n%s", s.registry(key))
		}
	}
	for _, path := range []string{folder, filepath.Join(s.home, "Roaming", "Microsoft", "Windows", "Start Menu", "Programs", "Waxseal.lnk")} {
		if _, err := os.Stat(path); err == nil {
			s.t.Errorf("%s is still there", path)
		}
	}
	if value := s.registry(`HKCU\Software\Microsoft\Windows\CurrentVersion\Run`); strings.Contains(value, "Waxseal") {
		s.t.Errorf("the programs that start at login are %q", value)
	}
}

// TestWindowsResource: the programs for Windows have icons, a manifest and details, and the same version
// has the same bytes.
func TestWindowsResource(t *testing.T) {
	var before []byte
	for range 2 {
		dir := t.TempDir()
		make := exec.CommandContext(t.Context(), ".ci/windows-resource", "v1.2.3-rc4", dir)
		make.Dir = "../.."
		if out, err := make.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, arch := range []string{"arm64", "amd64"} {
			wantResource(t, "1.2.3-rc4", filepath.Join(dir, "rsrc_windows_"+arch+".syso"))
		}
		data, err := os.ReadFile(filepath.Join(dir, "rsrc_windows_amd64.syso"))
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !bytes.Equal(data, before) {
			t.Error("the same version has other bytes the second time")
		}
		before = data
	}
	icon, err := os.Open("../../assets/icon/waxseal.ico")
	if err != nil {
		t.Fatal(err)
	}
	defer icon.Close()
	wantSizes(t, icon, 16, 20, 24, 32, 48, 256)
}

// wantResource: a file has the resource of a version.
func wantResource(t *testing.T, version, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"CompanyName", "FileDescription", "LegalCopyright", version} {
		if !bytes.Contains(data, wide(text)) {
			t.Errorf("%s has no %s", filepath.Base(file), text)
		}
	}
	if version == "" {
		return // an installer's manifest is NSIS's own
	}
	for _, text := range []string{"asInvoker", "PerMonitorV2", "longPathAware", "8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a"} {
		if !bytes.Contains(data, []byte(text)) {
			t.Errorf("%s has no %s", filepath.Base(file), text)
		}
	}
}

// wantSizes: an .ico file has images of these sizes.
func wantSizes(t *testing.T, icon io.Reader, sizes ...int) {
	t.Helper()
	var head struct{ Reserved, Kind, Count uint16 }
	if err := binary.Read(icon, binary.LittleEndian, &head); err != nil {
		t.Fatal(err)
	}
	if int(head.Count) != len(sizes) {
		t.Fatalf("the icon has %d sizes, want %v", head.Count, sizes)
	}
	for _, size := range sizes {
		var entry struct {
			Width byte // 0 is 256
			Rest  [15]byte
		}
		if err := binary.Read(icon, binary.LittleEndian, &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Width != byte(size) {
			t.Errorf("an image is %d wide, want %d", entry.Width, size)
		}
	}
}

// wide is a text as Windows stores it.
func wide(text string) []byte {
	data, _ := binary.Append(nil, binary.LittleEndian, utf16.Encode([]rune(text)))
	return data
}
