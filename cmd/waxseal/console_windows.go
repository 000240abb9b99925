package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// useParentsConsole lets the commands of a program that Windows regards as graphical write to the
// console that they were typed into. The prompt does not wait for such a program; scripts use the
// headless program, which the prompt waits for.
func useParentsConsole() {
	if _, err := os.Stdout.Stat(); err == nil {
		return // it has a console, or writes to a file
	}
	attach := windows.NewLazySystemDLL("kernel32.dll").NewProc("AttachConsole")
	const parent = ^uintptr(0) // ATTACH_PARENT_PROCESS
	if ok, _, _ := attach.Call(parent); ok == 0 {
		return // started by a double click
	}
	if out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0); err == nil {
		os.Stdout, os.Stderr = out, out
	}
	if in, err := os.OpenFile("CONIN$", os.O_RDWR, 0); err == nil {
		os.Stdin = in
	}
}
