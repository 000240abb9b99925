// Package kubernetes checks docs/kubernetes.yaml against the types of Kubernetes' API, and that its parts agree with
// each other. That Waxseal can load the configuration in it is a test of cmd/waxseal.
package kubernetes

import (
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// manifests are the objects of the file.
type manifests struct {
	config   core.ConfigMap
	services []core.Service
	set      apps.StatefulSet
	budget   policy.PodDisruptionBudget
	network  networking.NetworkPolicy
}

// load decodes each document into its type. A field that the type does not have is an error.
func load(t *testing.T) (m manifests) {
	t.Helper()
	text, err := os.ReadFile("../../docs/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i, document := range strings.Split(string(text), "\n---\n") {
		var kind meta.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatalf("document %d: %v", i+1, err)
		}
		name := kind.APIVersion + " " + kind.Kind
		seen[name]++
		var into any
		switch name {
		case "v1 ConfigMap":
			into = &m.config
		case "v1 Service":
			m.services = append(m.services, core.Service{})
			into = &m.services[len(m.services)-1]
		case "apps/v1 StatefulSet":
			into = &m.set
		case "policy/v1 PodDisruptionBudget":
			into = &m.budget
		case "networking.k8s.io/v1 NetworkPolicy":
			into = &m.network
		default:
			t.Fatalf("document %d is %q, which this test does not know", i+1, name)
		}
		if err := decode(document, into); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, want := range []string{"v1 ConfigMap", "v1 Service", "apps/v1 StatefulSet", "policy/v1 PodDisruptionBudget", "networking.k8s.io/v1 NetworkPolicy"} {
		if seen[want] == 0 || seen[want] > 1 && want != "v1 Service" {
			t.Errorf("%d times %s", seen[want], want)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return m
}

// decode is strict, as the API server is: no unknown field, none twice, and the right case.
func decode(document string, into any) error {
	text, err := yaml.YAMLToJSONStrict([]byte(document))
	if err != nil {
		return err
	}
	faults, err := json.UnmarshalStrict(text, into)
	return errors.Join(append(faults, err)...)
}

// settings are what the manifests must agree with in Waxseal's configuration.
type settings struct {
	Metrics         string
	Keystore        string
	DrainDelay      string `toml:"drain_delay"`
	ShutdownTimeout string `toml:"shutdown_timeout"`
	TLS             struct{ Certificate, Key string }
	Etcd            struct {
		CAFile   string `toml:"ca_file"`
		CertFile string `toml:"cert_file"`
		KeyFile  string `toml:"key_file"`
	}
}

func (m manifests) settings(t *testing.T) (s settings, ports []int32) {
	t.Helper()
	text := m.config.Data["config.toml"]
	if err := toml.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := toml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	addresses := []string{s.Metrics}
	for key, list := range all {
		if strings.HasPrefix(key, "listen") {
			for _, a := range list.([]any) {
				addresses = append(addresses, a.(string))
			}
		}
	}
	for _, a := range addresses {
		_, port, err := net.SplitHostPort(a)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(port, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, int32(n))
	}
	slices.Sort(ports)
	return s, ports
}

func (m manifests) container(t *testing.T) core.Container {
	t.Helper()
	if n := len(m.set.Spec.Template.Spec.Containers); n != 1 {
		t.Fatalf("%d containers", n)
	}
	return m.set.Spec.Template.Spec.Containers[0]
}

// TestPorts: the container has the configuration's ports, and services, probes and network policy name them.
func TestPorts(t *testing.T) {
	m := load(t)
	_, want := m.settings(t)
	var have []int32
	names := map[string]bool{}
	for _, p := range m.container(t).Ports {
		have = append(have, p.ContainerPort)
		names[p.Name] = false
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("the container's ports are %d, the configuration's %d", have, want)
	}
	use := func(by string, port intstr.IntOrString) {
		t.Helper()
		if _, ok := names[port.StrVal]; !ok {
			t.Errorf("%s names the port %s", by, port.String())
		}
		names[port.StrVal] = true
	}
	for _, s := range m.services {
		for _, p := range s.Spec.Ports {
			use("service "+s.Name, p.TargetPort)
		}
	}
	for name, used := range names {
		if !used {
			t.Errorf("no service leads to %s", name)
		}
		names[name] = false
	}
	for _, rule := range m.network.Spec.Ingress {
		for _, p := range rule.Ports {
			use("the network policy", *p.Port)
		}
	}
	for name, used := range names {
		if !used {
			t.Errorf("the network policy lets nobody reach %s", name)
		}
	}
	c := m.container(t)
	for path, probe := range map[string]*core.Probe{"/readyz": c.ReadinessProbe, "/healthz": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "metrics" {
			t.Errorf("the probe of %s is %+v", path, probe)
		}
	}
}

// TestStop: Kubernetes waits as long as a stop may take, and the endpoint is gone before the ports close.
func TestStop(t *testing.T) {
	m := load(t)
	s, _ := m.settings(t)
	parse := func(text string) time.Duration {
		t.Helper()
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	drain, stop := parse(s.DrainDelay), parse(s.ShutdownTimeout)
	grace := time.Duration(*m.set.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	if grace < drain+stop+5*time.Second {
		t.Errorf("%v for a stop that may take %v", grace, drain+stop)
	}
	ready := m.container(t).ReadinessProbe
	if out := time.Duration(ready.PeriodSeconds*ready.FailureThreshold) * time.Second; out >= drain {
		t.Errorf("a machine is not ready after %v, and closes its ports after %v", out, drain)
	}
}

// TestFiles: every file that configuration and environment name is mounted.
func TestFiles(t *testing.T) {
	m := load(t)
	s, _ := m.settings(t)
	c := m.container(t)
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if e.Name == "WAXSEAL_INSTANCE" && (e.ValueFrom == nil || e.ValueFrom.FieldRef == nil || e.ValueFrom.FieldRef.FieldPath != "metadata.name") {
			t.Error("WAXSEAL_INSTANCE is not the pod's name")
		}
	}
	if _, named := env["WAXSEAL_INSTANCE"]; !named || env["WAXSEAL_KEYSTORE"] != "etcd" || s.Keystore != "etcd" {
		t.Errorf("environment %v, keystore %q", env, s.Keystore)
	}
	volumes := map[string]bool{}
	for _, v := range m.set.Spec.Template.Spec.Volumes {
		volumes[v.Name] = true
	}
	for _, v := range m.set.Spec.VolumeClaimTemplates {
		volumes[v.Name] = true
	}
	var mounted []string
	for _, v := range c.VolumeMounts {
		if !volumes[v.Name] {
			t.Errorf("there is no volume %s", v.Name)
		}
		delete(volumes, v.Name)
		mounted = append(mounted, v.MountPath)
	}
	if len(volumes) > 0 {
		t.Errorf("not mounted: %v", volumes)
	}
	for _, file := range []string{env["WAXSEAL_KEYSTORE_PASSPHRASE_FILE"], s.TLS.Certificate, s.TLS.Key, s.Etcd.CAFile, s.Etcd.CertFile, s.Etcd.KeyFile} {
		if !slices.ContainsFunc(mounted, func(dir string) bool { return strings.HasPrefix(file, dir+"/") }) {
			t.Errorf("nothing is mounted at %q", file)
		}
	}
}

// TestLabels: everything selects the same pods, and they run on different nodes.
func TestLabels(t *testing.T) {
	m := load(t)
	labels := m.set.Spec.Template.Labels
	same := func(by string, selected map[string]string) {
		t.Helper()
		if len(selected) == 0 {
			t.Errorf("%s selects everything", by)
		}
		for key, value := range selected {
			if labels[key] != value {
				t.Errorf("%s selects %s=%s", by, key, value)
			}
		}
	}
	same("the stateful set", m.set.Spec.Selector.MatchLabels)
	same("the budget", m.budget.Spec.Selector.MatchLabels)
	same("the network policy", m.network.Spec.PodSelector.MatchLabels)
	headless := false
	for _, s := range m.services {
		same(s.Name, s.Spec.Selector)
		headless = headless || s.Name == m.set.Spec.ServiceName && s.Spec.ClusterIP == core.ClusterIPNone
	}
	if !headless {
		t.Errorf("%s is not a headless service", m.set.Spec.ServiceName)
	}
	if *m.set.Spec.Replicas != 3 {
		t.Errorf("%d machines", *m.set.Spec.Replicas)
	}
	for _, term := range m.set.Spec.Template.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		same("the anti-affinity", term.LabelSelector.MatchLabels)
	}
}

// TestHardened: nothing runs as root, nothing can be written but the data.
func TestHardened(t *testing.T) {
	m := load(t)
	pod, c := m.set.Spec.Template.Spec, m.container(t).SecurityContext
	if !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault ||
		*pod.AutomountServiceAccountToken {
		t.Errorf("the pod: %+v", pod.SecurityContext)
	}
	if *c.AllowPrivilegeEscalation || !*c.ReadOnlyRootFilesystem || !slices.Equal(c.Capabilities.Drop, []core.Capability{"ALL"}) || len(c.Capabilities.Add) > 0 {
		t.Errorf("the container: %+v", c)
	}
	for _, v := range m.container(t).VolumeMounts {
		if v.Name != "data" && !v.ReadOnly {
			t.Errorf("%s can be written", v.MountPath)
		}
	}
	for _, v := range pod.Volumes {
		if v.Secret != nil && *v.Secret.DefaultMode&0o007 != 0 {
			t.Errorf("everyone can read the secret %s", v.Secret.SecretName)
		}
	}
}

// TestMistakesAreFound: a misspelled field does not pass.
func TestMistakesAreFound(t *testing.T) {
	text, err := os.ReadFile("../../docs/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.ReplaceAll(string(text), "readOnlyRootFilesystem", "readOnlyRootFileSystem")
	for _, document := range strings.Split(wrong, "\n---\n") {
		if strings.Contains(document, "kind: StatefulSet") && decode(document, &apps.StatefulSet{}) == nil {
			t.Error("a misspelled field passed")
		}
	}
}
