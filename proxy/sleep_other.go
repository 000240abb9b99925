//go:build !linux && !windows

package proxy

import (
	"context"
	"log/slog"
)

// sleepTeller is empty: macOS reports sleep through IOKit, which needs cgo.
const sleepTeller = ""

func tellOfSleep(context.Context, *slog.Logger, chan<- bool) {}
