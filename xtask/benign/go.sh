# A Go program with modules from a proxy, a part in C, its tests, and the vet that comes with the compiler.
needs="go cc"
prepare() {
    cat >go.mod <<'END'
module benign.example/tool

go 1.21

require github.com/spf13/cobra v1.8.1
END
    cat >main.go <<'END'
package main

// #include <stdlib.h>
import "C"

import (
	"fmt"

	"github.com/spf13/cobra"
)

func double(n int) int { return 2 * int(C.abs(C.int(n))) }

func main() {
	cmd := &cobra.Command{Use: "tool", Run: func(*cobra.Command, []string) { fmt.Println(double(-21)) }}
	_ = cmd.Execute()
}
END
    cat >main_test.go <<'END'
package main

import "testing"

func TestDouble(t *testing.T) {
	if double(-2) != 4 {
		t.Fatal("two and two")
	}
}
END
    echo tool >.gitignore
    # What a project commits: all that it needs, with its hashes.
    go mod tidy
}
build() {
    go build -o tool .
    go vet ./...
    go test ./...
    ./tool
}
