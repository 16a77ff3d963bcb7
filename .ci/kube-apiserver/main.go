// Command kube-apiserver is that of Kubernetes. Its module cannot be installed by name, because it
// takes the modules that Kubernetes is published in from its own folders; go.mod here names them.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
