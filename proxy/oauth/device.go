package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

const (
	defaultInterval = 5 * time.Second // RFC 8628 section 3.2
	defaultCodeLife = 10 * time.Minute
	slowDown        = 5 * time.Second // section 3.5
	maxPollFaults   = 5               // in a row; with doubled pauses that is a few minutes
)

// ErrNoDevice says that the provider has no device flow.
var ErrNoDevice = errors.New("this provider has no sign-in by code; it needs a browser on this computer")

// DeviceCode is what the user needs to approve on another machine: they open VerificationURL there and
// enter UserCode. VerificationURLComplete has the code in it, for a link or a QR code; "" when the
// provider does not give one.
type DeviceCode struct {
	UserCode                string    `json:"user_code"`
	VerificationURL         string    `json:"verification_url"`
	VerificationURLComplete string    `json:"verification_url_complete,omitempty"`
	Expires                 time.Time `json:"expires"`
}

// device is a device authorization in progress.
type device struct {
	DeviceCode
	secret   string // the device code
	interval time.Duration
}

// Device asks the user for a grant that they approve on any other machine (RFC 8628). It calls show
// with what they must do there; an error from show ends it. Then it asks the provider again and again,
// at the pace the provider wants, until the user has decided, the code has expired or ctx ends. Like
// [Grant.Consent] it refuses another user than the account's, and leaves the account as it is until it
// succeeds.
func (g *Grant) Device(ctx context.Context, show func(DeviceCode) error) error {
	switch {
	case g.isApp():
		return errNoSignIn
	case g.cfg.DeviceURL == "":
		return ErrNoDevice
	}
	ctx, over := g.whileOpen(ctx)
	defer over()
	secret, err := g.secret(ctx)
	if err != nil {
		return err
	}
	d, err := g.startDevice(ctx, secret)
	if err != nil {
		return g.notSignedIn(fmt.Errorf("ask for a sign-in code: %w", err))
	}
	if err := show(d.DeviceCode); err != nil {
		return fmt.Errorf("show the sign-in code: %w", err)
	}
	a, err := g.poll(ctx, d, secret)
	if err != nil {
		return err
	}
	return g.take(ctx, a, "")
}

// startDevice asks for a code (RFC 8628 section 3.1).
func (g *Grant) startDevice(ctx context.Context, secret string) (device, error) {
	e := g.endpoint.sibling(deviceEndpoint, g.cfg.DeviceURL)
	q := question{form: url.Values{"scope": {strings.Join(g.scopes(), " ")}}, secret: secret}
	return retry(ctx, g.patience, always, func() (device, error) {
		return ask(ctx, e, q, func(r reply) (device, error) { return readDevice(r, e.url) })
	})
}

// readDevice reads the answer of RFC 8628 section 3.2. What of it is shown to the user is looked at
// closely: it comes from elsewhere, and they will act on it. by is the endpoint's address.
func readDevice(r reply, by string) (device, error) {
	f, bad := decode(r.body)
	if err := f.refusal(r, bad); err != nil {
		return device{}, err
	}
	fault := &EndpointError{Status: r.status, Reason: OddAnswer}
	d := device{secret: f.text("device_code"), interval: lifetime(f.get("interval"), defaultInterval)}
	d.UserCode, d.Expires = f.text("user_code"), r.sent.Add(lifetime(f.get("expires_in"), defaultCodeLife))
	d.VerificationURL = f.text("verification_uri", "verification_url") // Google's name is from an early draft
	switch {
	case !printable(d.secret) || !printable(d.UserCode) || len(d.UserCode) > 64:
		fault.Err = errors.New("an answer without a usable code")
	case !trusted(d.VerificationURL, by):
		fault.Err = errors.New("an answer without a usable address to enter the code at")
	}
	if fault.Err != nil {
		return device{}, fault
	}
	if complete := f.text("verification_uri_complete", "verification_url_complete"); trusted(complete, by) && origin(complete) == origin(d.VerificationURL) {
		d.VerificationURLComplete = complete
	}
	return d, nil
}

// poll asks whether the user has approved, until there is an answer (RFC 8628 sections 3.4 and 3.5).
// Where the connection breaks it asks again, as section 3.5 wants it; an answer is awaited as long as
// for any request that may be carried out once only.
func (g *Grant) poll(ctx context.Context, d device, secret string) (answer, error) {
	expired := &ConsentError{Account: g.account, Reason: ApprovalExpired, asked: true, text: "nobody entered the code before it expired"}
	ctx, cancel := context.WithDeadlineCause(ctx, d.Expires, expired)
	defer cancel()
	faults, after := 0, time.Duration(0)
	for {
		if !sleep(ctx, max(d.interval, after)) {
			if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return answer{}, fmt.Errorf("wait for the user's approval: %w", context.Cause(ctx))
			}
			return answer{}, g.outOfTime(ctx, d, expired)
		}
		a, err := g.once().post(ctx, question{form: url.Values{"grant_type": {deviceGrant}, "device_code": {d.secret}}, secret: secret})
		after = 0
		fault, passing := errors.AsType[*EndpointError](err)
		switch code := nameOf(err); {
		case err == nil:
			return a, nil
		case code == "authorization_pending":
			faults = 0
		case code == "slow_down":
			faults = 0
			d.interval += slowDown
		case ReasonOf(err) == ApprovalExpired:
			return answer{}, expired
		case passing && faults < maxPollFaults:
			faults++
			d.interval, after = 2*d.interval, fault.RetryAfter
		case ctx.Err() != nil: // the next wait says why
		default:
			return answer{}, g.notSignedIn(fmt.Errorf("ask whether the sign-in was approved: %w", err))
		}
	}
}

// outOfTime is why poll stopped before there was an answer: the code's end has come, or the caller's
// own deadline, whichever is first.
func (g *Grant) outOfTime(ctx context.Context, d device, expired error) error {
	if end, ok := ctx.Deadline(); ok && end.Before(d.Expires) {
		return fmt.Errorf("wait for the user's approval: %w", context.DeadlineExceeded)
	}
	return expired
}

// nameOf is the "error" of an answer, folded, whatever its status was.
func nameOf(err error) string {
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return r.name
	}
	if f, ok := errors.AsType[*EndpointError](err); ok {
		return f.name
	}
	return ""
}
