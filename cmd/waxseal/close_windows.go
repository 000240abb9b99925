package main

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Messages from Windows to a window (winuser.h).
const (
	wmClose      = 0x0010
	wmEndSession = 0x0016
	wmApp        = 0x8000 // ours: leave the loop
)

var (
	user32          = windows.NewLazySystemDLL("user32.dll")
	registerClass   = user32.NewProc("RegisterClassExW")
	createWindow    = user32.NewProc("CreateWindowExW")
	defWindowProc   = user32.NewProc("DefWindowProcW")
	getMessage      = user32.NewProc("GetMessageW")
	dispatchMessage = user32.NewProc("DispatchMessageW")
	postMessage     = user32.NewProc("PostMessageW")
	postQuitMessage = user32.NewProc("PostQuitMessage")
)

// relayCloses passes on requests to close the program. `taskkill` sends WM_CLOSE to the windows
// of a process, and says of a process without windows that it cannot be asked, so this creates a
// window that nobody sees. That window also hears of the end of the session, because Windows does
// not tell a console handler of it if the program has windows (SetConsoleCtrlHandler, Remarks);
// Windows waits for the answer, which is the end of the program.
//
// It may be called once in a process. stop waits until the window is gone.
func relayCloses(closes chan<- struct{}, log *slog.Logger) (stop func()) {
	ask := func() {
		select {
		case closes <- struct{}{}:
		default: // somebody has asked already
		}
	}
	var sessionEnds sync.Once
	ended := make(chan struct{}) // the loop, or the session
	proc := func(window, message, w, l uintptr) uintptr {
		switch message {
		case wmClose:
			ask()
			return 0
		case wmEndSession:
			if w != 0 {
				ask()
				sessionEnds.Do(func() { close(ended) })
				select {} // until the program ends
			}
			return 0
		case wmApp:
			postQuitMessage.Call(0)
			return 0
		}
		answer, _, _ := defWindowProc.Call(window, message, w, l)
		return answer
	}
	opened := make(chan uintptr)
	go func() { // stop waits for it, through ended
		defer sessionEnds.Do(func() { close(ended) })
		runtime.LockOSThread() // a window's messages come to the thread that created it
		defer runtime.UnlockOSThread()
		window, err := hiddenWindow(proc)
		if err != nil {
			log.Debug("taskkill without /F cannot end this program", "err", err)
		}
		opened <- window
		for message := new([48]byte); window != 0; { // MSG
			more, _, _ := getMessage.Call(uintptr(unsafe.Pointer(message)), 0, 0, 0)
			if int32(more) <= 0 {
				return
			}
			dispatchMessage.Call(uintptr(unsafe.Pointer(message)))
		}
	}()
	window := <-opened
	return func() {
		if window != 0 {
			postMessage.Call(window, wmApp, 0, 0)
		}
		<-ended
	}
}

// hiddenWindow creates a window that is never shown. It must be a top-level window: a program
// that asks all windows to close does not find message-only windows.
func hiddenWindow(proc func(window, message, w, l uintptr) uintptr) (uintptr, error) {
	if err := user32.Load(); err != nil {
		return 0, err
	}
	name, err := windows.UTF16PtrFromString("Waxseal")
	if err != nil {
		return 0, err
	}
	class := struct { // WNDCLASSEXW
		size, style                        uint32
		proc                               uintptr
		classExtra, windowExtra            int32
		instance, icon, cursor, background uintptr
		menu, name                         *uint16
		smallIcon                          uintptr
	}{proc: windows.NewCallback(proc), name: name}
	class.size = uint32(unsafe.Sizeof(class))
	if atom, _, err := registerClass.Call(uintptr(unsafe.Pointer(&class))); atom == 0 {
		return 0, fmt.Errorf("register a window class: %w", err)
	}
	window, _, err := createWindow.Call(0, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(name)), 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if window == 0 {
		return 0, fmt.Errorf("create a hidden window: %w", err)
	}
	return window, nil
}
