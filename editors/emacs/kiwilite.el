;;; kiwilite.el --- Appliance descriptions in nXML  -*- lexical-binding: t; -*-

;;; Commentary:

;; Load it from your init file:
;;
;;     (load "/usr/local/share/kiwilite/editors/emacs/kiwilite.el")
;;
;; *.kiwi then opens in nXML, which completes (C-M-i) and marks mistakes while you type;
;; M-x compile runs `kiwilite description check', which knows more than a schema can say.

;;; Code:

(defvar rng-schema-locating-files)

(defconst kiwilite-locating-rules
  (expand-file-name "schemas.xml" (file-name-directory (or load-file-name buffer-file-name)))
  "Tells nXML which schema a description has.")

(defun kiwilite-compile-command ()
  "Make `kiwilite description check' what \\[compile] runs in a description."
  (when (and buffer-file-name (string-match-p "\\.kiwi\\'" buffer-file-name))
    ;; Its columns count characters; Emacs expects a tab to count as many as it takes.
    (setq-local compilation-error-screen-columns nil)
    (setq-local compile-command
                (concat "kiwilite description check --format=gcc "
                        (shell-quote-argument (file-name-nondirectory buffer-file-name))))))

(add-to-list 'auto-mode-alist '("\\.kiwi\\'" . nxml-mode))
(add-hook 'nxml-mode-hook #'kiwilite-compile-command)
(with-eval-after-load 'rng-loc
  (add-to-list 'rng-schema-locating-files kiwilite-locating-rules))

(provide 'kiwilite)
;;; kiwilite.el ends here
