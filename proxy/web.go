package proxy

import (
	"context"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/waxseal/waxseal/proxy/api"
)

// Handler serves /metrics, /healthz (the process answers) and /readyz (the server wants mail programs'
// connections). It answers no page of another site, neither under another name that resolves to this
// machine nor by a cross-site request; only /healthz and /readyz, which tell nothing else, answer to any
// name.
func (s *Server) Handler() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Browsers say where a request comes from (Fetch Metadata); "none" is a person's own.
		site := r.Header.Get("Sec-Fetch-Site")
		health := s.healthOf(r)
		switch {
		case site == "cross-site" || site == "same-site":
			answerText(w, http.StatusForbidden, "pages of other sites may not read this")
		case health != nil:
			health(w, r)
		case !s.ownHost(r.Host):
			answerText(w, http.StatusMisdirectedRequest, "use the address in `metrics`")
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// healthOf answers a request about the server's health, whatever name and method a balancer's check uses:
// HAProxy asks without a Host, and with "OPTIONS /" unless it is told otherwise; Kubernetes names the pod's
// address, others the service. It is nil for every other request.
func (s *Server) healthOf(r *http.Request) http.HandlerFunc {
	var healthy func() (problem string)
	switch path := r.URL.Path; {
	case path == "/healthz":
		healthy = func() string { return "" }
	case path == "/readyz", path == "/" && r.Method == http.MethodOptions:
		healthy = s.notReady
	default:
		return nil
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
		default:
			answerText(w, http.StatusMethodNotAllowed, "use GET")
			return
		}
		if problem := healthy(); problem != "" {
			answerText(w, http.StatusServiceUnavailable, problem)
			return
		}
		answerText(w, http.StatusOK, "ok")
	}
}

// notReady says why mail programs' connections should go elsewhere, "" if they are welcome. A keystore that
// fails later does not matter: the accounts are in memory and go on, and where several machines share one
// keystore, its outage would take all of them away.
func (s *Server) notReady() string {
	switch state := s.state(); {
	case state != api.Serving:
		return string(state)
	case !s.loaded.Load():
		return "starting: the accounts have not been read from the keystore yet"
	}
	return ""
}

// preload reads the accounts' passwords, after which the server is ready if it knows its accounts.
func (s *Server) preload(ctx context.Context) {
	known := s.unready("") == nil
	if s.hall.Preload(ctx) && known {
		s.loaded.Store(true)
	}
}

// ownHost accepts IP addresses, localhost and the configured name. This stops DNS
// rebinding, in which the attacker's page keeps its own name. Metrics that are open to the
// network on every address, as in a container, accept any name: nobody here knows their
// names, and an attacker needs no page to read them.
func (s *Server) ownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	configured, _, _ := net.SplitHostPort(s.config().Metrics)
	everywhere := configured == "" || net.ParseIP(configured).IsUnspecified()
	return host != "" && (everywhere || host == "localhost" || host == configured || net.ParseIP(host) != nil)
}

func answerText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	w.Write([]byte(text + "\n"))
}
