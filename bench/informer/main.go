// What bench/objects measures with: a fast API server that has many objects, and client-go's informers that list and
// watch them, so that vipkeeper stands beside them in the same run.
//
//	informer serve --directory DIR [--services N] [--endpoints N] [--entries N]
//	informer watch --kubeconfig FILE [--lean]
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"serve": serve, "watch": watch}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: informer serve|watch FLAGS")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "informer:", err)
		os.Exit(1)
	}
}
