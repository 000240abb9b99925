//go:build !linux && !windows

package machine

import (
	"context"
	"log/slog"
)

// sleepTeller is empty: macOS reports sleep through IOKit, which needs cgo.
const SleepTeller = ""

func tellOfSleep(context.Context, *slog.Logger, chan<- bool) {}
