//go:build !linux && !windows

package proxy

import (
	"context"
	"log/slog"
)

// sleepTeller is nobody: macOS tells of sleep through IOKit, which takes cgo.
const sleepTeller = ""

func tellOfSleep(context.Context, *slog.Logger, chan<- bool) {}
