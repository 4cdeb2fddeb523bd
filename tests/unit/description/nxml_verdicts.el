;;; nxml_verdicts.el --- What nXML says about many descriptions  -*- lexical-binding: t; -*-

;; For batch mode: reads names of files from standard input, one per line, and prints for
;; each mistake FILE, LINE and MESSAGE, separated by tabs; for a file without any, FILE and
;; the schema that nXML chose.

(require 'nxml-mode)
(require 'rng-valid)

(defun nxml-verdicts-mistakes ()
  "Line and message of each mistake in the current buffer, in order."
  (while (rng-do-some-validation))
  (sort (delq nil (mapcar
                   (lambda (overlay)
                     (when (eq (overlay-get overlay 'category) 'rng-error)
                       (cons (line-number-at-pos (overlay-start overlay))
                             (overlay-get overlay 'help-echo))))
                   (overlays-in (point-min) (point-max))))
        (lambda (one other) (< (car one) (car other)))))

(defun nxml-verdicts-print (file)
  "Print what nXML says about the current buffer, which holds the text of FILE."
  (let ((mistakes (nxml-verdicts-mistakes)))
    (if mistakes
        (dolist (mistake mistakes)
          (princ (format "%s\t%d\t%s\n" file (car mistake) (cdr mistake))))
      (princ (format "%s\t\t%s\n" file rng-current-schema-file-name)))))

(defun nxml-verdicts-next ()
  "The next name on standard input, or nil."
  (ignore-errors (read-from-minibuffer "")))

;; The first file is opened as a user would open it, which chooses the mode and the schema;
;; the others are put into the same buffer, because loading the schema takes longer than all
;; the rest.
(let ((file (nxml-verdicts-next)))
  (with-current-buffer (find-file-noselect file)
    (unless (derived-mode-p 'nxml-mode)
      (error "%s was opened in %s" file major-mode))
    (while file
      (insert-file-contents file nil nil nil t)
      (nxml-verdicts-print file)
      (setq file (nxml-verdicts-next)))))
