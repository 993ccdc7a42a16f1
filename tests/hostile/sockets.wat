;; Asks for the network.
(component
  (import "wasi:sockets/instance-network@0.2.12" (instance
    (export "network" (type $network (sub resource)))
    (export "instance-network" (func (result (own $network)))))))
