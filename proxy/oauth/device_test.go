package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

const deviceStart = `{"device_code":"SECRET-device","user_code":"WDJB-MJHT","verification_uri":"https://login.example/device",` +
	`"verification_uri_complete":"https://login.example/device?user_code=WDJB-MJHT","expires_in":900,"interval":7}`

// deviceRig answers the first request with start and the polls with the list, of which the last one
// repeats.
func deviceRig(t testing.TB, start string, polls ...http.HandlerFunc) *rig {
	r := newRig(t)
	r.cfg.DeviceURL, r.cfg.Scopes = "http://"+endpointHost+"/device", []string{"mail.send", "offline_access"}
	n := 0
	r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
		if req.PostForm.Get("grant_type") == "" {
			answers(200, start)(w, req)
			return
		}
		n++ // before the answer, which may panic
		polls[min(n, len(polls))-1](w, req)
	})
	return r
}

func oauthErr(code string) http.HandlerFunc { return answers(400, `{"error":"`+code+`"}`) }

var (
	pending  = oauthErr("authorization_pending")
	approved = answers(200, `{"access_token":"access-d","refresh_token":"refresh-d","expires_in":3600}`)
)

func noShow(DeviceCode) error { return nil }

func TestDeviceWaitsAsTold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start string
		polls []http.HandlerFunc
		gaps  []int // seconds
	}{
		{"interval", deviceStart, []http.HandlerFunc{pending, pending, approved}, []int{7, 7, 7}},
		{"default", strings.Replace(deviceStart, `,"interval":7`, "", 1), []http.HandlerFunc{pending, approved}, []int{5, 5}},
		{"slow_down", deviceStart, []http.HandlerFunc{oauthErr("slow_down"), pending, oauthErr("slow_down"), approved}, []int{7, 12, 12, 17}},
		{"slow_down as 429", deviceStart, []http.HandlerFunc{answers(429, `{"error":"slow_down"}`), approved}, []int{7, 12}},
		{"pending as 428", deviceStart, []http.HandlerFunc{answers(428, `{"error":"authorization_pending"}`), approved}, []int{7, 7}},
		{"fault", deviceStart, []http.HandlerFunc{drop, answers(502, page200), approved}, []int{7, 14, 28}},
		{"Retry-After", deviceStart, []http.HandlerFunc{answers(503, "", "Retry-After", "60"), approved}, []int{7, 60}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := deviceRig(t, tt.start, tt.polls...)
				var shown DeviceCode
				begin := time.Now()
				if err := r.Device(t.Context(), func(d DeviceCode) error { shown = d; return nil }); err != nil {
					t.Fatal(err)
				}
				want := DeviceCode{"WDJB-MJHT", "https://login.example/device", "https://login.example/device?user_code=WDJB-MJHT", begin.Add(15 * time.Minute)}
				if shown != want {
					t.Errorf("shown %+v, want %+v", shown, want)
				}
				var gaps []int
				for _, gap := range r.endpoint.gaps() {
					gaps = append(gaps, int(gap/time.Second))
				}
				if !slices.Equal(gaps, tt.gaps) {
					t.Errorf("polled after %v s, want %v", gaps, tt.gaps)
				}
				wantForm(t, r.endpoint.forms[0], url.Values{"client_id": {clientID}, "scope": {"mail.send offline_access"}})
				wantForm(t, r.endpoint.last(), url.Values{"client_id": {clientID}, "grant_type": {deviceGrant}, "device_code": {"SECRET-device"}})
				r.wantKept(t, "refresh-d")
				wantToken(t, r.Grant, "access-d")
			})
		})
	}
}

func wantForm(t *testing.T, got, want url.Values) {
	t.Helper()
	if got.Encode() != want.Encode() {
		t.Errorf("sent %s, want %s", got.Encode(), want.Encode())
	}
}

func TestDeviceNotGranted(t *testing.T) {
	late := answers(200, strings.Replace(deviceStart, "900", "20", 1))
	for _, tt := range []struct {
		name    string
		start   http.HandlerFunc
		poll    http.HandlerFunc
		consent bool
		want    string
	}{
		{"denied", nil, oauthErr("access_denied"), true, "the sign-in was declined"},
		{"declined, says Microsoft", nil, oauthErr("authorization_declined"), true, "the sign-in was declined"},
		{"expired, says the provider", nil, oauthErr("expired_token"), true, "nobody entered the code before it expired"},
		{"expired, by the clock", late, pending, true, "nobody entered the code before it expired"},
		{"wrong client", nil, answers(401, `{"error":"invalid_client"}`), false, "invalid_client"},
		{"echo", nil, answers(400, `{"error":"invalid_grant","error_description":"no SECRET-device here"}`), true, "no *** here"},
		{"always down", nil, answers(500, ""), false, "token endpoint login.example: 500"},
		{"no refresh token", nil, answers(200, `{"access_token":"a","expires_in":60}`), false, "no refresh token"},
		{"no device flow for this client", oauthErr("unauthorized_client"), nil, false, "device endpoint login.example refuses: unauthorized_client"},
		{"start is a page", answers(200, page200), nil, false, "device endpoint login.example: a web page"},
		{"no code", answers(200, `{"verification_uri":"https://login.example/","expires_in":9}`), nil, false, "without a usable code"},
		{"code with a terminal's escape", answers(200, `{"device_code":"d","user_code":"\u001b[2J","verification_uri":"https://login.example/","expires_in":9}`), nil, false, "without a usable code"},
		{"address of another kind", answers(200, `{"device_code":"d","user_code":"u","verification_uri":"file:///etc/passwd","expires_in":9}`), nil, false, "without a usable address"},
		{"no end", answers(200, `{"device_code":"d","user_code":"u","verification_uri":"https://login.example/"}`), pending, true, "nobody entered the code before it expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.cfg.DeviceURL = "http://" + endpointHost + "/device"
				r.endpoint.says(func(w http.ResponseWriter, req *http.Request) {
					switch {
					case req.PostForm.Get("grant_type") != "":
						tt.poll(w, req)
					case tt.start != nil:
						tt.start(w, req)
					default:
						answers(200, deviceStart)(w, req)
					}
				})
				err := r.Device(t.Context(), noShow)
				if err == nil || !strings.Contains(err.Error(), tt.want) || isConsent(err) != tt.consent || strings.Contains(err.Error(), "SECRET") {
					t.Errorf("Device = %v, want %q", err, tt.want)
				}
				r.wantKept(t, "refresh-1")
				wantState(t, r.Grant, Unknown, "")
			})
		})
	}
}

func TestDeviceEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deviceRig(t, deviceStart, pending)
		errCtrlC := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errCtrlC) })
		if err := r.Device(ctx, noShow); !errors.Is(err, errCtrlC) {
			t.Errorf("Device = %v, want why ctx ended", err)
		}
		short, cancelShort := context.WithTimeout(t.Context(), time.Minute)
		defer cancelShort()
		if err := r.Device(short, noShow); !errors.Is(err, context.DeadlineExceeded) || isConsent(err) {
			t.Errorf("Device = %v, want the caller's deadline", err)
		}
		errNoScreen := errors.New("no screen")
		if err := r.Device(t.Context(), func(DeviceCode) error { return errNoScreen }); !errors.Is(err, errNoScreen) {
			t.Errorf("Device = %v, want show's error", err)
		}
		r.cfg.DeviceURL = ""
		if err := r.Device(t.Context(), noShow); !errors.Is(err, ErrNoDevice) {
			t.Errorf("Device = %v without an endpoint", err)
		}
	})
}

// A link that leads somewhere else than the address shown is not passed on.
func TestDeviceLinkElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deviceRig(t, strings.Replace(deviceStart, "https://login.example/device?", "https://evil.example/device?", 1), approved)
		err := r.Device(t.Context(), func(d DeviceCode) error {
			if d.VerificationURLComplete != "" {
				return fmt.Errorf("shown %+v", d)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestDeviceAtAProvider(t *testing.T) {
	for _, who := range []string{me, "you@corp.example"} {
		p := startProvider(t, providertest.Options{Rotate: true})
		g, secrets := grantAt(t, p, nil)
		err := g.Device(t.Context(), func(d DeviceCode) error { return p.ApproveDevice(d.UserCode, who) })
		if who != me {
			if _, ok := errors.AsType[*IdentityError](err); !ok {
				t.Errorf("Device = %v, want another user refused", err)
			}
			wantNothingKept(t, secrets)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		wantState(t, g, Ready, "")
		if err := g.Renew(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Whatever a device endpoint answers, nothing reaches the user's terminal or browser that they should
// not see.
func FuzzDevice(f *testing.F) {
	f.Add(200, []byte(deviceStart))
	f.Add(200, []byte(`{"device_code":"d","user_code":"\u001b[2J","verification_url":"javascript:1","expires_in":1e300,"interval":-1}`))
	f.Add(400, []byte(`{"error":"invalid_scope"}`))
	f.Fuzz(func(t *testing.T, status int, data []byte) {
		d, err := readDevice(reply{status: status, header: http.Header{}, body: data, sent: time.Unix(0, 0), clean: strings.Clone}, "https://login.example/device")
		if err != nil {
			return
		}
		if !printable(d.UserCode) || !printable(d.secret) || !trusted(d.VerificationURL, "https://login.example/device") || d.interval <= 0 || !d.Expires.After(time.Unix(0, 0)) {
			t.Errorf("%q gave %+v", data, d)
		}
		if d.VerificationURLComplete != "" && origin(d.VerificationURLComplete) != origin(d.VerificationURL) {
			t.Errorf("the link of %q leads elsewhere", data)
		}
	})
}
