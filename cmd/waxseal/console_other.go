//go:build !windows

package main

func useParentsConsole() {}
