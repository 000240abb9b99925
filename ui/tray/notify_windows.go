package tray

import (
	"context"
	"fmt"
	"sync"

	"git.sr.ht/~jackmordaunt/go-toast/v2"
)

// toastGUID identifies what Windows calls when a notification is clicked.
const toastGUID = "{6C1D2A5E-3B7F-4E0B-9C43-0F5A8E2D7B91}"

// Notify shows notices until ctx ends, and calls click with each that is clicked.
func Notify(ctx context.Context, notices <-chan Notice, click func(Notice)) error {
	if err := speak(); err != nil {
		return err
	}
	if err := toast.SetAppData(toast.AppData{AppID: "Waxseal", GUID: toastGUID}); err != nil {
		return fmt.Errorf("prepare notifications: %w", err)
	}
	var mu sync.Mutex
	shown := map[string]Notice{}
	toast.SetActivationCallback(func(kind string, _ []toast.UserData) {
		mu.Lock()
		n, ours := shown[kind]
		mu.Unlock()
		if ours && ctx.Err() == nil {
			click(n)
		}
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-notices:
			mu.Lock()
			shown[string(n.Kind)] = n
			mu.Unlock()
			title, body := n.text()
			t := toast.Notification{AppID: "Waxseal", Title: title, Body: body, ActivationArguments: string(n.Kind)}
			t.Push() // what it can't show, the icon does
		}
	}
}
