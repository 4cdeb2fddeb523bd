;;; editor_drivers.el --- What a user does in Emacs, for batch mode  -*- lexical-binding: t; -*-

(require 'compile)

(defun driver-compile (file)
  "Open FILE, run what \\[compile] offers, and print each place that `next-error' goes to."
  (find-file file)
  (let ((output (compile compile-command)))
    (while (process-live-p (get-buffer-process output))
      (accept-process-output nil 0.05))
    (ignore-error user-error
      (while t
        (next-error)
        (princ (format "%s:%d:%d:%s\n"
                       (file-name-nondirectory buffer-file-name)
                       (line-number-at-pos)
                       (1+ (- (point) (line-beginning-position)))
                       (with-current-buffer output
                         (compilation--message->type
                          (get-text-property (point) 'compilation-message)))))))))

(defun driver-complete (file before)
  "Open FILE, go behind BEFORE, and print what completion offers there."
  (find-file file)
  (goto-char (point-min))
  (search-forward before)
  (let ((found (run-hook-with-args-until-success 'completion-at-point-functions)))
    (dolist (name (all-completions (buffer-substring (nth 0 found) (point)) (nth 2 found)))
      (princ (format "%s\n" name)))))
