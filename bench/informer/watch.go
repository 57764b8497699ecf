package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// watch keeps the objects that vipkeeper keeps, as a controller that is written in Go does: shared informers of
// Services, EndpointSlices, Nodes and the one ConfigMap. It prints "synced", and on each SIGUSR1 the resourceVersion of
// the newest slice. (It does not count updates: its queue joins those that it cannot hand on in time.) With --lean managedFields are dropped from the cache, the usual advice for large clusters.
func watch(arguments []string) error {
	flags := flag.NewFlagSet("watch", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "file")
	lean := flags.Bool("lean", false, "drop managedFields from the cache")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	var options []informers.SharedInformerOption
	if *lean {
		options = append(options, informers.WithTransform(func(object any) (any, error) {
			if accessor, err := meta.Accessor(object); err == nil {
				accessor.SetManagedFields(nil)
			}
			return object, nil
		}))
	}
	all := informers.NewSharedInformerFactoryWithOptions(client, 0, options...)
	own := informers.NewSharedInformerFactoryWithOptions(client, 0, append(options, informers.WithNamespace("kube-system"),
		informers.WithTweakListOptions(func(list *metav1.ListOptions) { list.FieldSelector = "metadata.name=vip-configmap" }))...)

	var endpoints atomic.Int64
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			if slice, ok := object.(*discoveryv1.EndpointSlice); ok {
				endpoints.Add(int64(len(slice.Endpoints)))
			}
		},
		UpdateFunc: func(_, _ any) {},
	}
	for _, informer := range []cache.SharedIndexInformer{
		all.Core().V1().Services().Informer(), all.Discovery().V1().EndpointSlices().Informer(),
		all.Core().V1().Nodes().Informer(), own.Core().V1().ConfigMaps().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	stop := make(chan struct{})
	all.Start(stop)
	own.Start(stop)
	all.WaitForCacheSync(stop)
	own.WaitForCacheSync(stop)
	services := all.Core().V1().Services().Informer().GetStore().List()
	if len(services) == 0 || services[0].(*corev1.Service).Name == "" {
		return fmt.Errorf("no Service was listed")
	}
	fmt.Println("synced", len(services), endpoints.Load())

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM)
	for one := range signals {
		if one == syscall.SIGTERM {
			return nil
		}
		fmt.Println("version", all.Discovery().V1().EndpointSlices().Informer().LastSyncResourceVersion())
	}
	return nil
}
