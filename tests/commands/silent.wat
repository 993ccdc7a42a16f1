;; Ends, and says that all is well.
(func $main)
